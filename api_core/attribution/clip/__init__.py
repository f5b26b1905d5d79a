"""What a contrastive model finds relevant to a text. One method per file, all of them listed in `methods`."""

from .heatmap import clip_heatmap
from .methods import METHODS, list_methods

__all__ = ["METHODS", "clip_heatmap", "list_methods"]
