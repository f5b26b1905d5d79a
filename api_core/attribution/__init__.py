"""Heatmaps: which parts of a picture a model finds relevant to a text."""

from .clip import METHODS, clip_heatmap, list_methods
from .lvlm import LVLM_METHODS, LvlmHeatmap, list_lvlm_methods, lvlm_heatmap

__all__ = [
    "LVLM_METHODS",
    "METHODS",
    "LvlmHeatmap",
    "clip_heatmap",
    "list_lvlm_methods",
    "list_methods",
    "lvlm_heatmap",
]
