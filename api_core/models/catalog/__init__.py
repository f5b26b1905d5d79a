"""The models and servers this library knows by name, with the defaults that suit each. Literal, and free of torch.

A catalog name selects a repository of the hub; nothing else does, so a workflow of unknown origin cannot name one. Any
other model is used from a folder.
"""

from collections.abc import Mapping

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
    things_known,
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
    "things_known",
]

PRESETS: Mapping[str, tuple[str, str]] = {
    "vllm": ("http://127.0.0.1:8000/v1", ""),
    "sglang": ("http://127.0.0.1:30000/v1", ""),
    "ollama": ("http://127.0.0.1:11434/v1", ""),
    "lm-studio": ("http://127.0.0.1:1234/v1", ""),
    "llama.cpp": ("http://127.0.0.1:8080/v1", ""),
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
}
"""Preset -> where such a server answers unless told otherwise, and the variable that usually holds its key.

Those on this machine are always there as profiles. One that is not must be added first, so that a workflow from a
stranger cannot send pictures out and spend on somebody's key.
"""


def mask_defaults(model_name: str, contrast: float | None = None, smoothing: float | None = None) -> MaskDefaults:
    """What a mask is tuned with: what is given, and for None what suits the model; the paper's if it has no entry."""
    entry = find_clip_model(model_name) or find_lvlm_model(model_name)
    own = PAPER_DEFAULTS if entry is None else MaskDefaults(entry.contrast, entry.smoothing)
    return MaskDefaults(
        own.contrast if contrast is None else contrast, own.smoothing if smoothing is None else smoothing
    )
