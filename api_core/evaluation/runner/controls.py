"""Controls that a map has to beat: its very values, elsewhere or everywhere alike.

"moved": the mask shifted by lot around the picture's edges and mirrored, so that as much fades as before, but
elsewhere; "uniform": its mean everywhere, so that as much fades on the whole.
"""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...choices import Control

Change = Control | Literal[""]


def changed(mask: Tensor, change: Change, case: str, seed: int) -> Tensor:
    """The mask [H, W] as a control has it. case: its id, which with the seed decides where it is moved to."""
    if change == "moved":
        return shifted(mask, np.random.default_rng([seed, zlib.crc32(case.encode())]))
    return torch.full_like(mask, float(mask.mean())) if change == "uniform" else mask


def shifted(mask: Tensor, rng: np.random.Generator) -> Tensor:
    """The mask [H, W] shifted by any distance, what leaves at one edge coming in at the other, and mirrored or not."""
    height, width = mask.shape
    shift = int(rng.integers(height)), int(rng.integers(width))
    flips = [axis for axis in (0, 1) if rng.random() < 0.5]
    return torch.roll(mask.flip(flips), shift, (0, 1))
