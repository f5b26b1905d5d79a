"""Pictures that show nothing: what takes the place of the parts that a mask removes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..choices import BASELINES, Baseline
from ..errors import InvalidInput, quoted

# Width of the picture -> side of the blur's kernel, as in the program released with arXiv 2503.13891.
_KERNELS = ((2000, 501), (800, 301), (500, 201), (0, 101))


def baseline_picture(picture: Tensor, kind: Baseline, seed: int = 0) -> Tensor:
    """A picture [H, W, 3] in 0..1 with its contents gone.

    blur: a Gaussian so wide that hardly more than the colour is left (the paper's). mean colour: of the picture. noise:
    every value drawn evenly, by `seed`. black: zeros.
    """
    if kind == "blur":
        return _blur(picture, next(side for width, side in _KERNELS if picture.shape[1] >= width))
    if kind == "mean colour":
        return picture.mean((0, 1)).expand_as(picture).contiguous()
    if kind == "noise":
        drawn = torch.rand(picture.shape, generator=torch.Generator().manual_seed(seed))
        return (drawn * 255).round() / 255
    if kind == "black":
        return torch.zeros_like(picture)
    raise InvalidInput(f"There is no baseline {quoted(kind)}. Choose one of {', '.join(BASELINES)}.")


def _blur(picture: Tensor, side: int) -> Tensor:
    """Gaussian of deviation side - 1 cut off at `side`: nearly a box. The picture goes on mirrored beyond its edges."""
    place = torch.arange(side, dtype=torch.float32) - side // 2
    kernel = torch.exp(-(place**2) / (2.0 * (side - 1) ** 2))
    kernel = (kernel / kernel.sum())[None, None]
    made = picture
    for axis in (0, 1):
        lines = made.movedim(axis, -1)
        index = torch.from_numpy(np.pad(np.arange(lines.shape[-1]), side // 2, mode="reflect"))
        longer = lines[..., index]
        made = F.conv1d(longer.reshape(-1, 1, longer.shape[-1]), kernel).reshape(lines.shape).movedim(-1, axis)
    return made.contiguous()
