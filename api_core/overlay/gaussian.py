"""A Gaussian blur strip by strip, and strips out of blocks of rows for what needs the rows around it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..geometry import cut, place
from ..results import Box

# From this many pixels of blur on, the picture is made smaller first, by a factor that leaves 1.5 to blur.
_DIRECT_BLUR = 3.0
# The deviation, in cells of the small picture, that making it smaller and larger again adds by itself.
_RESIZE_BLUR = 0.6
# The widest blur that is offered. Of one pixel nothing is left to blur, and a sum over a wider reach takes for ever.
_WIDEST = 256.0
# A narrower blur moves nothing either, and cannot be divided by.
_NARROWEST = 1e-6
# Rows worked out at once where a row needs those around it.
_BLOCK_ROWS = 128


def in_blocks(compute: Callable[[int, int], Tensor], height: int) -> Callable[[int, int], Tensor]:
    """Serve strips, asked for from top to bottom, out of blocks of many rows."""
    held: list[tuple[int, Tensor]] = []

    def rows(first: int, last: int) -> Tensor:
        if not held or not held[0][0] <= first <= last <= held[0][0] + len(held[0][1]):
            held[:] = [(first, compute(first, min(first + max(_BLOCK_ROWS, last - first), height)))]
        start, block = held[0]
        return block[first - start : last - start]

    return rows


def blurred_rows(colors: Tensor, radius: float) -> Callable[[int, int], Tensor]:
    """A Gaussian blur in strips; a wide one works on a smaller picture, so that its cost does not rise."""
    height, width = colors.shape[:2]
    if radius < _DIRECT_BLUR:
        reach = math.ceil(3 * radius)

        def direct(first: int, last: int) -> Tensor:
            start = max(first - reach, 0)
            strip = _along(_along(colors[start : last + reach], radius, 0), radius, 1)
            return strip[first - start : last - start]

        return in_blocks(direct, height)
    whole = Box(0, 0, width, height)
    factor = radius / 1.5
    small_size = max(1, round(height / factor)), max(1, round(width / factor))
    factor_y, factor_x = height / small_size[0], width / small_size[1]
    small = cut(colors, whole, small_size, "bilinear")
    small = _rest(_rest(small, radius, factor_y, 0), radius, factor_x, 1).movedim(-1, 0)

    def enlarged(first: int, last: int) -> Tensor:
        window = Box(0, -first, width, height - first)
        return place(small, window, (last - first, width), "bicubic").movedim(0, -1)

    return in_blocks(enlarged, height)


def _rest(small: Tensor, radius: float, factor: float, axis: int) -> Tensor:
    """What the blur still has to do along an axis that was made smaller by `factor`."""
    if small.shape[axis] == 1 and radius > _WIDEST:
        return small
    return _along(small, math.sqrt(max((radius / factor) ** 2 - _RESIZE_BLUR**2, 0.01)), axis)


def _along(values: Tensor, deviation: float, axis: int) -> Tensor:
    """Gaussian mean of [H, W, C] along an axis; the edge pixels go on beyond the border."""
    reach = math.ceil(3 * deviation)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / max(deviation, _NARROWEST)) ** 2)
    weights /= weights.sum()
    count = values.shape[axis]
    positions = torch.arange(-reach, count + reach).clamp(0, count - 1)
    padded = values.index_select(axis, positions)
    result = torch.zeros_like(values, memory_format=torch.contiguous_format)
    for shift, weight in enumerate(weights.tolist()):
        result.add_(padded.narrow(axis, shift, count), alpha=weight)
    return result
