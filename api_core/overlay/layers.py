"""What each style lays over a picture, strip by strip: colours, and how much of them covers each pixel."""

import math
from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor

from ..autograd import without_autocast
from ..colormaps import colorize, colormap
from ..errors import InvalidInput
from ..geometry import cut, place
from ..morphology import grow
from ..results import Box
from .styles import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, OutlineStyle, Style

# For rows first..last: colours that broadcast to [rows, W, 3], and their cover [rows, W], 0..1.
Layer = Callable[[int, int], tuple[Tensor, Tensor]]
_LUMA = (0.2126, 0.7152, 0.0722)
# From this many pixels of blur on, the picture is made smaller first, by a factor that leaves 1.5 to blur.
_DIRECT_BLUR = 3.0
# The deviation, in cells of the small picture, that making it smaller and larger again adds by itself.
_RESIZE_BLUR = 0.6
# Rows worked out at once where a row needs those around it.
_BLOCK_ROWS = 128


def layer(style: Style, colors: Tensor, mask: Tensor) -> Layer:
    """The layer of `style` for a picture [H, W, 3] and its mask [H, W]."""
    if isinstance(style, FadeStyle):
        color = torch.tensor(style.color, dtype=torch.float32)
        return lambda first, last: (color, 1 - mask[first:last])
    if isinstance(style, BlurStyle):
        blurred = _blur(colors, style.radius)
        return lambda first, last: (blurred(first, last), 1 - mask[first:last])
    if isinstance(style, DesaturateStyle):
        return _desaturate(colors, mask)
    if isinstance(style, HeatStyle):
        return _heat(style, mask)
    if isinstance(style, OutlineStyle):
        return _outline(style, mask)
    names = ", ".join(kind.__name__ for kind in get_args(Style))
    raise InvalidInput(f"{style!r} is no overlay style. Use one of {names}.")


def _desaturate(colors: Tensor, mask: Tensor) -> Layer:
    luma = torch.tensor(_LUMA)

    def rows(first: int, last: int) -> tuple[Tensor, Tensor]:
        with without_autocast():
            return (colors[first:last] @ luma).unsqueeze(-1), 1 - mask[first:last]

    return rows


def _heat(style: HeatStyle, mask: Tensor) -> Layer:
    table = colormap(style.colormap)

    def rows(first: int, last: int) -> tuple[Tensor, Tensor]:
        values = mask[first:last]
        cover = values * style.opacity if style.weighted else torch.full_like(values, style.opacity)
        return colorize(values, table), cover

    return rows


def _outline(style: OutlineStyle, mask: Tensor) -> Layer:
    color = torch.tensor(style.color, dtype=torch.float32)
    outwards = math.ceil(style.width / 2)
    inwards = style.width - outwards

    def line(first: int, last: int) -> Tensor:
        start = max(first - style.width, 0)
        region = (mask[start : last + style.width] >= style.threshold).to(torch.float32)
        edge = grow(region, outwards) - grow(region, -inwards)
        return edge[first - start : last - start]

    rows = _in_blocks(line, len(mask))
    return lambda first, last: (color, rows(first, last))


def _in_blocks(compute: Callable[[int, int], Tensor], height: int) -> Callable[[int, int], Tensor]:
    """Serve strips, asked for from top to bottom, out of blocks of many rows."""
    held: list[tuple[int, Tensor]] = []

    def rows(first: int, last: int) -> Tensor:
        if not held or not held[0][0] <= first <= last <= held[0][0] + len(held[0][1]):
            held[:] = [(first, compute(first, min(first + max(_BLOCK_ROWS, last - first), height)))]
        start, block = held[0]
        return block[first - start : last - start]

    return rows


def _blur(colors: Tensor, radius: float) -> Callable[[int, int], Tensor]:
    """A Gaussian blur in strips; a wide one works on a smaller picture, so that its cost does not rise."""
    height, width = colors.shape[:2]
    if radius < _DIRECT_BLUR:
        reach = math.ceil(3 * radius)

        def direct(first: int, last: int) -> Tensor:
            start = max(first - reach, 0)
            strip = _gaussian(colors[start : last + reach], radius)
            return strip[first - start : last - start]

        return _in_blocks(direct, height)
    whole = Box(0, 0, width, height)
    factor = radius / 1.5
    small_size = max(1, round(height / factor)), max(1, round(width / factor))
    factor_y, factor_x = height / small_size[0], width / small_size[1]
    small = cut(colors, whole, small_size, "bilinear")
    remaining_y, remaining_x = (_remaining(radius, factor) for factor in (factor_y, factor_x))
    small = _along(_along(small, remaining_y, 0), remaining_x, 1).movedim(-1, 0)

    def enlarged(first: int, last: int) -> Tensor:
        window = Box(0, -first, width, height - first)
        return place(small, window, (last - first, width), "bicubic").movedim(0, -1)

    return _in_blocks(enlarged, height)


def _remaining(radius: float, factor: float) -> float:
    return math.sqrt(max((radius / factor) ** 2 - _RESIZE_BLUR**2, 0.01))


def _gaussian(values: Tensor, deviation: float) -> Tensor:
    return _along(_along(values, deviation, 0), deviation, 1)


def _along(values: Tensor, deviation: float, axis: int) -> Tensor:
    """Gaussian mean of [H, W, C] along an axis; the edge pixels go on beyond the border."""
    reach = math.ceil(3 * deviation)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / deviation) ** 2)
    weights /= weights.sum()
    count = values.shape[axis]
    positions = torch.arange(-reach, count + reach).clamp(0, count - 1)
    padded = values.index_select(axis, positions)
    result = torch.zeros_like(values, memory_format=torch.contiguous_format)
    for shift, weight in enumerate(weights.tolist()):
        result.add_(padded.narrow(axis, shift, count), alpha=weight)
    return result
