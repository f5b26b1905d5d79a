"""The models this library knows by name, with the defaults that suit each. Literal, and free of torch.

A catalog name selects a repository of the hub; nothing else does, so a workflow of unknown origin cannot name one. Any
other model is used from a folder.
"""

from ...choices import Fit
from ...settings import PAPER_DEFAULTS, MaskDefaults
from .clip import (
    CLIP_MODELS,
    DEFAULT_FIT,
    EMBEDDED_CLIP,
    TRANSFORMERS_CLASSES,
    ClipEntry,
    Source,
    find_clip_model,
    list_clip_models,
)
from .lvlm import (
    EMBEDDED_LVLM,
    LVLM_MODELS,
    RELATIVE_LAYER,
    LvlmEntry,
    avisc_alpha,
    find_lvlm_model,
    list_lvlm_models,
)
from .servers import PRESETS

__all__ = [
    "CLIP_MODELS",
    "DEFAULT_FIT",
    "EMBEDDED_CLIP",
    "EMBEDDED_LVLM",
    "LVLM_MODELS",
    "PAPER_DEFAULTS",
    "PRESETS",
    "RELATIVE_LAYER",
    "TRANSFORMERS_CLASSES",
    "ClipEntry",
    "Fit",
    "LvlmEntry",
    "MaskDefaults",
    "Source",
    "avisc_alpha",
    "find_clip_model",
    "find_lvlm_model",
    "list_clip_models",
    "list_lvlm_models",
    "mask_defaults",
]


def mask_defaults(model_name: str, contrast: float | None = None, smoothing: float | None = None) -> MaskDefaults:
    """What a mask is tuned with: what is given, and for None what suits the model; the paper's if it has no entry."""
    entry = find_clip_model(model_name) or find_lvlm_model(model_name)
    own = PAPER_DEFAULTS if entry is None else MaskDefaults(entry.contrast, entry.smoothing)
    return MaskDefaults(
        own.contrast if contrast is None else contrast, own.smoothing if smoothing is None else smoothing
    )
