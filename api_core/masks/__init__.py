"""From raw heatmaps to masks: contrast, smoothing, merging, then threshold, growing and inverting at picture size."""

from typing import TYPE_CHECKING

from ..lazy import lazy
from .settings import CLIP_SETTINGS, MASK_SETTINGS, MaskSettings

if TYPE_CHECKING:
    from .tuning import TunedMasks, tune, tune_each

__all__ = ["CLIP_SETTINGS", "MASK_SETTINGS", "MaskSettings", "TunedMasks", "tune", "tune_each"]

__getattr__, __dir__ = lazy(__name__, {"TunedMasks": "tuning", "tune": "tuning", "tune_each": "tuning"})
