"""Attention Prompting: show a vision-language model where to look, and see where it looked.

The names below are the library's public face. Each is imported when it is first used, so that `import api_core` takes
no time and needs no torch. `overlay` is a module: `overlay.apply(picture, mask, FadeStyle())`.
"""

from typing import TYPE_CHECKING

from .lazy import lazy

if TYPE_CHECKING:
    from . import overlay
    from .answering import Answer, Greedy, Sample, SurestAnswer, ask, ask_surest
    from .attribution import LvlmHeatmap, clip_heatmap, list_lvlm_methods, list_methods, lvlm_heatmap
    from .choices import VICUNA_SYSTEM_PROMPT
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
    from .overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, MagnifyStyle, OutlineStyle
    from .pictures import to_picture, to_pil
    from .presence_score import presence
    from .prompting import PromptedPicture, clip_api, llava_api, prompt_picture, release
    from .results import Heatmap

_HOMES = {
    "answering": ("Answer", "Greedy", "Sample", "SurestAnswer", "ask", "ask_surest"),
    "attribution": ("LvlmHeatmap", "clip_heatmap", "list_lvlm_methods", "list_methods", "lvlm_heatmap"),
    "choices": ("VICUNA_SYSTEM_PROMPT",),
    "errors": ("AttentionPromptingError",),
    "explanation.curves": ("draw_curves",),
    "explanation.explain": ("explain",),
    "explanation.methods": ("list_explanation_methods",),
    "explanation.result": ("Explanation",),
    "masks": ("tune",),
    "models.catalog": ("list_clip_models", "list_lvlm_models"),
    "models.clip": ("ClipModel",),
    "models.clip.load": ("load_clip",),
    "models.conversation.case": ("Case",),
    "models.files.download": ("forbid_downloads",),
    "models.lvlm.load": ("load_lvlm",),
    "models.lvlm.model": ("LvlmModel",),
    "models.server": ("ServerModel", "connect"),
    "overlay": ("BlurStyle", "DesaturateStyle", "FadeStyle", "HeatStyle", "MagnifyStyle", "OutlineStyle", "overlay"),
    "pictures": ("to_picture", "to_pil"),
    "presence_score": ("presence",),
    "prompting": ("PromptedPicture", "clip_api", "llava_api", "prompt_picture", "release"),
    "results": ("Heatmap",),
}

__all__ = [
    "VICUNA_SYSTEM_PROMPT",
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
    "MagnifyStyle",
    "OutlineStyle",
    "PromptedPicture",
    "Sample",
    "ServerModel",
    "SurestAnswer",
    "ask",
    "ask_surest",
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
    "presence",
    "prompt_picture",
    "release",
    "to_picture",
    "to_pil",
    "tune",
]

__getattr__, __dir__ = lazy(__name__, {name: home for home, names in _HOMES.items() for name in names})
