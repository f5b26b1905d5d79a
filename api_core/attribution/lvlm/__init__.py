"""Where a vision-language model looks while it answers. One method per file, all of them listed in `methods`."""

from .heatmap import LvlmHeatmap, lvlm_heatmap
from .methods import LVLM_METHODS, list_lvlm_methods

__all__ = ["LVLM_METHODS", "LvlmHeatmap", "list_lvlm_methods", "lvlm_heatmap"]
