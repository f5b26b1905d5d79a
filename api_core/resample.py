"""Resampling as Pillow does it, exactly, but for the rounding to 8 bits, which is left out.

Its kernels (each a support, in source pixels, and a function of the distance to the centre), its pixel centres (a half
in from the edge), a support that widens when shrinking, and weights that are brought back to a sum of one at the edges.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .autograd import without_autocast
from .choices import INTERPOLATIONS
from .errors import InvalidInput, quoted

Axis = tuple[int, float, float, int]
"""An axis of a tensor, where the first point lies on it, the step between points, and how many there are."""

# A kernel that touches few of many cells is applied tap by tap; else one matrix product is quicker.
_CELLS_PER_TAP = 8
_AT_ONCE = 1 << 22
"""Values that are turned at a time, 16 MB."""


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).to(x.dtype)


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _hamming(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1, torch.sinc(x) * (0.54 + 0.46 * torch.cos(math.pi * x)), 0.0)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where((x >= -3) & (x < 3), torch.sinc(x) * torch.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[float, Callable[[Tensor], Tensor]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _triangle),
    "hamming": (1.0, _hamming),
    "bicubic": (2.0, _cubic),
    "lanczos": (3.0, _lanczos),
}


def interpolation_name(interpolation: str) -> str:
    """The lower-case name of one of Pillow's filters, given in any case; "box" is understood beside INTERPOLATIONS."""
    name = str(interpolation).strip().lower()
    if name != "nearest" and name not in KERNELS:
        raise InvalidInput(
            f"There is no interpolation {quoted(interpolation)}. Choose one of {', '.join(INTERPOLATIONS)}, box."
        )
    return name


def resample(values: Tensor, down: Axis, across: Axis, interpolation: str) -> Tensor:
    """Sample `values` along two axes, first along the one that leaves fewer values between them."""
    first, second = (
        (down, across) if down[3] * values.shape[across[0]] < values.shape[down[0]] * across[3] else (across, down)
    )
    return _along(_along(values, first, interpolation), second, interpolation)


def _along(values: Tensor, along: Axis, name: str) -> Tensor:
    """Sample `values` along an axis at so many points: the middles of steps from the start on."""
    axis, start, step, count = along
    cells = values.shape[axis]
    if start == 0 and step == 1 and count == cells:
        return values
    indices, weights = _taps(cells, start, step, count, name)
    indices, weights = indices.to(values.device), weights.to(values.device, torch.float32)
    if weights.shape[1] * _CELLS_PER_TAP < cells:
        if count < cells and axis % values.ndim:
            first = int(indices.min())  # of a crop the rest is not looked at
            seen = values.narrow(axis, first, int(indices.max()) + 1 - first)
            return _by_rows(seen, axis, indices - first, weights)
        return _tap_by_tap(values, axis, indices, weights)
    matrix = torch.zeros(count, cells, device=values.device).scatter_add_(1, indices, weights)
    with without_autocast(values.device.type):
        if axis == -2:
            return matrix @ values
        return values @ matrix.T if axis == -1 else torch.tensordot(matrix, values, ([1], [axis])).movedim(0, axis)


def _by_rows(values: Tensor, axis: int, indices: Tensor, weights: Tensor) -> Tensor:
    """As `_tap_by_tap`, to the bit: but a few rows at a time, turned so that what is picked lies in one piece."""
    result = values.new_empty([*values.shape[:axis], len(indices), *values.shape[axis:][1:]])
    rows = max(1, _AT_ONCE * len(values) // max(values.numel(), 1))
    for own, piece in zip(result.split(rows), values.split(rows), strict=True):
        turned = piece.transpose(0, axis).contiguous()
        own.copy_(_tap_by_tap(turned, 0, indices, weights).transpose(0, axis))
    return result


def _tap_by_tap(values: Tensor, axis: int, indices: Tensor, weights: Tensor) -> Tensor:
    shape = (-1,) + (1,) * (values.ndim - 1 - axis % values.ndim)
    result = values.index_select(axis, indices[:, 0]).mul_(weights[:, 0].view(shape))
    for tap in range(1, weights.shape[1]):
        result.addcmul_(values.index_select(axis, indices[:, tap]), weights[:, tap].view(shape))
    return result


def _taps(cells: int, start: float, step: float, count: int, name: str) -> tuple[Tensor, Tensor]:
    """For `count` points at start + (i + 1/2) step along `cells` cells: indices and weights, both [count, taps]."""
    # A point at the far edge itself would fall into the cell after the last.
    end = math.nextafter(cells, 0)
    if name == "nearest":
        # Pillow adds up the steps; on a border between two cells the rounding of that sum decides.
        steps = np.full(count, step)
        steps[0] = start + step / 2
        return torch.from_numpy(np.cumsum(steps)).clamp(0, end).long().unsqueeze(1), torch.ones(count, 1)
    centers = (start + (torch.arange(count, dtype=torch.float64) + 0.5) * step).clamp(0, end)
    support, kernel = KERNELS[name]
    widening = max(step, 1.0)
    reach = support * widening
    first = (centers - reach + 0.5).trunc().clamp(min=0)
    last = (centers + reach + 0.5).trunc().clamp(max=cells)
    positions = first.unsqueeze(1) + torch.arange(int((last - first).max()), dtype=torch.float64)
    weights = kernel((positions - centers.unsqueeze(1) + 0.5) / widening)
    weights = weights.masked_fill(positions >= last.unsqueeze(1), 0)
    return positions.long().clamp(max=cells - 1), weights / weights.sum(1, keepdim=True)
