"""Heatmaps: which parts of a picture a model finds relevant to a text. One method per file, all of them listed here."""

from .clip_heatmap import clip_heatmap
from .lvlm_heatmap import LvlmHeatmap, lvlm_heatmap
from .lvlm_methods import LVLM_METHODS, list_lvlm_methods
from .methods import METHODS, list_methods

__all__ = [
    "LVLM_METHODS",
    "METHODS",
    "LvlmHeatmap",
    "clip_heatmap",
    "list_lvlm_methods",
    "list_methods",
    "lvlm_heatmap",
]
