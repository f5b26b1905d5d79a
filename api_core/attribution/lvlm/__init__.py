"""Where a vision-language model looks while it answers. One method per file, called after it."""

from .heatmap import LVLM_METHODS, LvlmHeatmap, list_lvlm_methods, lvlm_heatmap

__all__ = ["LVLM_METHODS", "LvlmHeatmap", "list_lvlm_methods", "lvlm_heatmap"]
