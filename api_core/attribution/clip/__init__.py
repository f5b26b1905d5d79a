"""What a contrastive model finds relevant to a text. One method per file, called after it."""

from .heatmap import METHODS, clip_heatmap, list_methods

__all__ = ["METHODS", "clip_heatmap", "list_methods"]
