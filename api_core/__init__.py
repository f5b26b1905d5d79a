"""Attention Prompting: show a vision-language model where to look, and see where it looked.

The names below are the library's public face. Each is imported when it is first used, so that `import api_core` takes
no time and needs no torch. `overlay` is a module: `overlay.apply(picture, mask, FadeStyle())`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import overlay
    from .attribution import clip_heatmap, list_methods
    from .errors import AttentionPromptingError
    from .masks import tune
    from .models.catalog import list_clip_models
    from .models.clip import ClipModel
    from .models.clip.load import load_clip
    from .models.download import forbid_downloads
    from .overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, OutlineStyle
    from .pictures import to_picture, to_pil
    from .prompting import PromptedPicture, clip_api, prompt_picture, release
    from .results import Heatmap

_HOMES = {
    "AttentionPromptingError": "errors",
    "BlurStyle": "overlay",
    "ClipModel": "models.clip",
    "DesaturateStyle": "overlay",
    "FadeStyle": "overlay",
    "HeatStyle": "overlay",
    "Heatmap": "results",
    "OutlineStyle": "overlay",
    "PromptedPicture": "prompting",
    "clip_api": "prompting",
    "clip_heatmap": "attribution",
    "forbid_downloads": "models.download",
    "list_clip_models": "models.catalog",
    "list_methods": "attribution",
    "load_clip": "models.clip.load",
    "prompt_picture": "prompting",
    "release": "prompting",
    "to_picture": "pictures",
    "to_pil": "pictures",
    "tune": "masks",
}

__all__ = [
    "AttentionPromptingError",
    "BlurStyle",
    "ClipModel",
    "DesaturateStyle",
    "FadeStyle",
    "HeatStyle",
    "Heatmap",
    "OutlineStyle",
    "PromptedPicture",
    "clip_api",
    "clip_heatmap",
    "forbid_downloads",
    "list_clip_models",
    "list_methods",
    "load_clip",
    "overlay",
    "prompt_picture",
    "release",
    "to_picture",
    "to_pil",
    "tune",
]


def __getattr__(name: str) -> object:
    if name == "overlay":
        return import_module(".overlay", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
