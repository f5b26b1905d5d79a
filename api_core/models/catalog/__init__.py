"""The models this library knows by name, with the defaults that suit each. Literal, and free of torch.

A catalog name selects a repository of the hub; nothing else does, so a workflow of unknown origin cannot name one. Any
other model is used from a folder.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ...choices import Fit
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

__all__ = [
    "CLIP_MODELS",
    "DEFAULT_FIT",
    "EMBEDDED_CLIP",
    "EMBEDDED_LVLM",
    "IMPORTANCE",
    "IMPORTANCE_DEFAULTS",
    "LVLM_MODELS",
    "PAPER_DEFAULTS",
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


@dataclass(frozen=True)
class MaskDefaults:
    """What a mask is tuned with when nobody says otherwise; smoothing counts patches."""

    contrast: float
    smoothing: float


PAPER_DEFAULTS = MaskDefaults(contrast=1.0, smoothing=3)
"""The authors' own tutorial on MM-Vet; used for models that have no entry."""


IMPORTANCE = "importance"
"""The part of maps that say what an answer needed, not where a model looked."""

IMPORTANCE_DEFAULTS = MaskDefaults(contrast=1.0, smoothing=1)
"""For those: they are small and smooth as they come, and a model's own contrast would leave no shades of them."""


def mask_defaults(
    model_name: str, contrast: float | None = None, smoothing: float | None = None, parts: Collection[str] = ()
) -> MaskDefaults:
    """What a mask is tuned with: what is given, and for None what suits the model; the paper's if it has no entry.

    parts: of the map.
    """
    entry = find_clip_model(model_name) or find_lvlm_model(model_name)
    own = PAPER_DEFAULTS if entry is None else MaskDefaults(entry.contrast, entry.smoothing)
    if IMPORTANCE in parts:
        own = IMPORTANCE_DEFAULTS
    return MaskDefaults(
        own.contrast if contrast is None else contrast, own.smoothing if smoothing is None else smoothing
    )
