"""A coarse mask as a smooth surface: the peak of what several cells share lies between them, not on one of them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

FINER = 4
"""Rows and columns of the surface for each of the mask's."""


def smooth(mask: Tensor) -> Tensor:
    """The cubic B-spline of a mask [rows, columns] on [4 rows - 3, 4 columns - 3], corner on corner."""
    down, across = (_weights(side).to(mask) for side in mask.shape)
    return down @ mask @ across.T


@lru_cache(maxsize=8)
def _weights(cells: int) -> Tensor:
    """How much each cell counts at each place [4 cells - 3, cells]; beyond the edge the outermost cells go on."""
    places = torch.arange(FINER * (cells - 1) + 1, dtype=torch.float64) / FINER
    found = torch.zeros(len(places), cells, dtype=torch.float64)
    for cell in range(-2, cells + 2):
        found[:, min(max(cell, 0), cells - 1)] += _basis(places - cell)
    return found


def _basis(x: Tensor) -> Tensor:
    x = x.abs()
    near, far = 2 / 3 - x**2 + x**3 / 2, (2 - x) ** 3 / 6
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
