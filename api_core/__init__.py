"""Attention Prompting: show a vision-language model where to look, and see where it looked.

The names below are the library's public face. Each is imported when it is first used, so that `import api_core` takes
no time and needs no torch. `overlay` is a module: `overlay.apply(picture, mask, FadeStyle())`.
"""

from typing import TYPE_CHECKING

from .lazy import lazy

if TYPE_CHECKING:
    from . import overlay
    from .answering import Answer, Greedy, Sample, ask
    from .attribution import LvlmHeatmap, clip_heatmap, list_lvlm_methods, list_methods, lvlm_heatmap
    from .errors import AttentionPromptingError
    from .explanation.curves import draw_curves
    from .explanation.explain import explain
    from .explanation.methods import list_explanation_methods
    from .explanation.result import Explanation
    from .masks import tune
    from .models.catalog import list_clip_models, list_lvlm_models
    from .models.clip import ClipModel
    from .models.clip.load import load_clip
    from .models.conversation.case import Case
    from .models.files.download import forbid_downloads
    from .models.lvlm.load import load_lvlm
    from .models.lvlm.model import LvlmModel
    from .models.server import ServerModel, connect
    from .overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, OutlineStyle
    from .pictures import to_picture, to_pil
    from .prompting import PromptedPicture, clip_api, llava_api, prompt_picture, release
    from .results import Heatmap

_HOMES = {
    "Answer": "answering",
    "AttentionPromptingError": "errors",
    "BlurStyle": "overlay",
    "Case": "models.conversation.case",
    "ClipModel": "models.clip",
    "DesaturateStyle": "overlay",
    "Explanation": "explanation.result",
    "FadeStyle": "overlay",
    "Greedy": "answering",
    "HeatStyle": "overlay",
    "Heatmap": "results",
    "LvlmHeatmap": "attribution",
    "LvlmModel": "models.lvlm.model",
    "OutlineStyle": "overlay",
    "PromptedPicture": "prompting",
    "Sample": "answering",
    "ServerModel": "models.server",
    "ask": "answering",
    "clip_api": "prompting",
    "clip_heatmap": "attribution",
    "connect": "models.server",
    "draw_curves": "explanation.curves",
    "explain": "explanation.explain",
    "forbid_downloads": "models.files.download",
    "list_clip_models": "models.catalog",
    "list_explanation_methods": "explanation.methods",
    "list_lvlm_methods": "attribution",
    "list_lvlm_models": "models.catalog",
    "list_methods": "attribution",
    "llava_api": "prompting",
    "load_clip": "models.clip.load",
    "load_lvlm": "models.lvlm.load",
    "lvlm_heatmap": "attribution",
    "overlay": "overlay",
    "prompt_picture": "prompting",
    "release": "prompting",
    "to_picture": "pictures",
    "to_pil": "pictures",
    "tune": "masks",
}

__all__ = [
    "Answer",
    "AttentionPromptingError",
    "BlurStyle",
    "Case",
    "ClipModel",
    "DesaturateStyle",
    "Explanation",
    "FadeStyle",
    "Greedy",
    "HeatStyle",
    "Heatmap",
    "LvlmHeatmap",
    "LvlmModel",
    "OutlineStyle",
    "PromptedPicture",
    "Sample",
    "ServerModel",
    "ask",
    "clip_api",
    "clip_heatmap",
    "connect",
    "draw_curves",
    "explain",
    "forbid_downloads",
    "list_clip_models",
    "list_explanation_methods",
    "list_lvlm_methods",
    "list_lvlm_models",
    "list_methods",
    "llava_api",
    "load_clip",
    "load_lvlm",
    "lvlm_heatmap",
    "overlay",
    "prompt_picture",
    "release",
    "to_picture",
    "to_pil",
    "tune",
]

__getattr__, __dir__ = lazy(__name__, _HOMES)
