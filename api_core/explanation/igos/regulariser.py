"""What keeps a mask small and smooth: iGOS++'s L1, its decaying L2, and total variation that spares edges.

As in the program released with "Where do Large Vision-Language Models Look at when Answering Questions?"
(arXiv 2503.13891): L1 and total variation are means over the mask's cells, L2 is a sum.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_EDGE = 0.01


def penalty(mask: Tensor, guide: Tensor, step: int, l1: float, l2: float, l3: float, decay: float) -> Tensor:
    """The regulariser of a mask [rows, columns] (1 keeps) at `step` (from 0), as a scalar.

    guide [C, h, w] is the picture whose edges total variation spares. L2 fades by exp(-decay * step): the problem
    starts convex and ends as it is.
    """
    removed = 1 - mask
    small = l1 * removed.abs().mean() + l2 * math.exp(-decay * step) * (removed**2).sum()
    return small + l3 * bilateral_variation(mask, guide)


def bilateral_variation(mask: Tensor, guide: Tensor) -> Tensor:
    """Half the sum of the mean squared differences of the mask, and of the mask at the guide's size, edges spared.

    Vertical differences are weighed by the edge of the mean over channels, horizontal ones by the mean over channels of
    the edges: the released program does so, and its numbers are kept.
    """
    lifted = upsample(mask[None], (guide.shape[-2], guide.shape[-1]))[0]
    down, right = guide.diff(dim=1), guide.diff(dim=2)
    vertical = torch.exp(-(down.mean(0) ** 2) / _EDGE)
    horizontal = torch.exp(-(right**2) / _EDGE).mean(0)
    coarse = (mask.diff(dim=0) ** 2).mean() + (mask.diff(dim=1) ** 2).mean()
    fine = (vertical * lifted.diff(dim=0) ** 2).mean() + (horizontal * lifted.diff(dim=1) ** 2).mean()
    return 0.5 * (coarse + fine)


def upsample(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corner on corner: masks [K, rows, columns] to [K, h, w]."""
    return F.interpolate(masks[:, None], size, mode="bilinear", align_corners=True)[:, 0]
