"""From raw heatmaps to masks: contrast, smoothing, merging, then threshold, growing and inverting at picture size."""

from .tuning import TunedMasks, tune

__all__ = ["TunedMasks", "tune"]
