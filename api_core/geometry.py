"""Between the cells of a grid and the pixels of a picture, both ways, in float; resampled as Pillow does it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .choices import FITS
from .errors import InvalidInput, quoted
from .resample import interpolation_name, resample
from .results import Box, View
from .settings import is_number, require_number

# Neighbouring crops share at least a quarter of their width, so that an object cut by one lies whole in the next.
_CROP_STEP = 0.75
_MOST_CROPS = 12
LARGEST_PICTURE = 1 << 28
"""Pixels: 16,384 a side."""


def place(grid: Tensor, box: Box, size: tuple[int, int], interpolation: str = "lanczos") -> Tensor:
    """Draw `grid` [..., h, w], which covers `box` of a picture, at the picture's size: float32 [..., H, W].

    The box may pass the picture's edge (padding) or lie inside it (a crop); outside the box the grid's edge goes on.
    Overshoot of the lanczos and bicubic kernels is kept.
    """
    require_box(box)
    rows, columns = require_size(size)
    name = interpolation_name(interpolation)
    if grid.ndim < 2 or 0 in grid.shape:
        raise InvalidInput(f"A grid must have the shape [..., h, w] with at least one cell, not {list(grid.shape)}.")
    scale_y, scale_x = grid.shape[-2] / box.height, grid.shape[-1] / box.width
    down = (-2, -box.top * scale_y, scale_y, rows)
    across = (-1, -box.left * scale_x, scale_x, columns)
    return resample(grid.to(torch.float32), down, across, name)


def cut(
    picture: Tensor,
    box: Box,
    size: tuple[int, int],
    interpolation: str = "bicubic",
    fill: Sequence[float] | None = None,
) -> Tensor:
    """The way back of `place`: what a model sees of `picture` [H, W, C] through `box`, as float32 [h, w, C].

    Outside the picture lies `fill` (one level per channel), or the picture's edge goes on when it is None.
    """
    require_box(box)
    rows, columns = require_size(size)
    name = interpolation_name(interpolation)
    down = (0, box.top, box.height / rows, rows)
    across = (1, box.left, box.width / columns, columns)
    seen = resample(picture.to(torch.float32), down, across, name)
    if fill is not None:
        inside = seen_cells((picture.shape[0], picture.shape[1]), box, size).unsqueeze(-1)
        seen = torch.where(inside, seen, torch.tensor(tuple(fill), dtype=torch.float32))
    return seen.contiguous()


def seen_cells(size: tuple[int, int], box: Box, grid: tuple[int, int]) -> Tensor:
    """Which cells of a grid over `box` see the picture: bool [h, w], true where a cell's centre lies in the picture."""
    y = box.top + (torch.arange(grid[0], dtype=torch.float64) + 0.5) * (box.height / grid[0])
    x = box.left + (torch.arange(grid[1], dtype=torch.float64) + 0.5) * (box.width / grid[1])
    return ((y > 0) & (y < size[0])).unsqueeze(1) & ((x > 0) & (x < size[1])).unsqueeze(0)


def windows(size: tuple[int, int], fit: str, side: int) -> tuple[Box, ...]:
    """The rectangles of a picture (H, W) that a model with square input of `side` pixels looks at.

    stretch: the whole picture. letterbox: the square around it. crops: overlapping squares as wide as the shorter side
    that cover every pixel (of a very long picture at most 12, then wider than it). center: the middle square as the
    official code sees it, the shorter side brought to `side` and the middle cut out in whole model pixels.
    """
    height, width = require_size(size)
    if fit == "stretch":
        return (Box(0, 0, width, height),)
    if fit == "letterbox":
        long = max(height, width)
        return (Box((width - long) / 2, (height - long) / 2, (width + long) / 2, (height + long) / 2),)
    if fit == "center":
        left, right = _middle(width, height, side)
        top, bottom = _middle(height, width, side)
        return (Box(left, top, right, bottom),)
    if fit == "crops":
        return _crops(height, width)
    raise InvalidInput(f"There is no fit {quoted(fit)}. Choose one of {', '.join(FITS)}.")


def trim(view: View) -> View:
    """Cut a view down to the rectangle of its valid cells, so that no padding bleeds into the picture's edge."""
    if bool(view.valid.all()):
        return view
    rows, columns = view.valid.any(1).nonzero().flatten(), view.valid.any(0).nonzero().flatten()
    if not len(rows):
        raise InvalidInput(f"None of the {view.valid.numel()} cells of a view saw the picture; its box is {view.box}.")
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    cell_y, cell_x = view.box.height / view.grid[0], view.box.width / view.grid[1]
    return View(
        view.values[:, top:bottom, left:right],
        Box(
            view.box.left + left * cell_x,
            view.box.top + top * cell_y,
            view.box.left + right * cell_x,
            view.box.top + bottom * cell_y,
        ),
        view.valid[top:bottom, left:right],
    )


def compose(views: Sequence[View], size: tuple[int, int], interpolation: str = "lanczos") -> Tensor:
    """Draw the views of one picture over each other at the picture's size: float32 [M, H, W].

    Where views overlap they are blended with smooth weights that fall to nothing at each view's edge, so that no seam
    shows. Padding is left out; a pixel that no view covers goes on from the nearest one.
    """
    trimmed = [_without_holes(trim(view)) for view in views]
    if not trimmed:
        raise InvalidInput("There is no view to draw. A picture's map needs at least one.")
    if len(trimmed) == 1:
        return place(trimmed[0].values, trimmed[0].box, size, interpolation)
    height, width = require_size(size)
    total = torch.zeros(trimmed[0].values.shape[0], height, width)
    weights = torch.zeros(height, width)
    for view in trimmed:
        weight_y = _tent(view.box.top, view.box.bottom, height)
        weight_x = _tent(view.box.left, view.box.right, width)
        y, x = _extent(weight_y), _extent(weight_x)
        inner = Box(
            view.box.left - x.start, view.box.top - y.start, view.box.right - x.start, view.box.bottom - y.start
        )
        if y.stop == y.start or x.stop == x.start:
            continue
        weight = weight_y[y].unsqueeze(1) * weight_x[x]
        weights[y, x].add_(weight)
        drawn = place(view.values, inner, (y.stop - y.start, x.stop - x.start), interpolation)
        total[:, y, x].add_(drawn.mul_(weight))
    if bool(weights.amin() > 0):  # nearly always: no weight is below zero
        return total.div_(weights)
    uncovered = weights == 0
    return _go_on(total.div_(weights.masked_fill_(uncovered, 1)), uncovered, trimmed, interpolation)


def require_box(box: Box) -> None:
    """Raise InvalidInput for a box in which nothing can lie."""
    edges = (box.left, box.top, box.right, box.bottom)
    if not all(map(is_number, edges)) or box.width <= 0 or box.height <= 0:
        raise InvalidInput(f"A box needs a width and a height above zero, not {box}.")


def require_size(size: tuple[int, int]) -> tuple[int, int]:
    for side in size:
        require_number(side, "A picture's side", 1, whole=True)
    height, width = int(size[0]), int(size[1])
    if height * width > LARGEST_PICTURE:
        raise InvalidInput(f"A picture of {height} x {width} pixels (height x width) is larger than any here.")
    return height, width


def _middle(length: int, other: int, side: int) -> tuple[float, float]:
    if length <= other:
        return 0, length
    resized = int(side * length / other)
    first = round((resized - side) / 2)
    return first * length / resized, (first + side) * length / resized


def _crops(height: int, width: int) -> tuple[Box, ...]:
    long = max(height, width)
    side = max(min(height, width), math.ceil(long / (1 + _CROP_STEP * (_MOST_CROPS - 1))))
    count = 1 + math.ceil((long - side) / (_CROP_STEP * side) - 1e-9)
    starts = [round(i * (long - side) / max(count - 1, 1)) for i in range(count)]
    across = (min(height, width) - side) / 2
    if width >= height:
        return tuple(Box(start, across, start + side, across + side) for start in starts)
    return tuple(Box(across, start, across + side, start + side) for start in starts)


def _tent(first: float, last: float, count: int) -> Tensor:
    """Weights of pixels 0..count-1 under a raised-cosine tent from `first` to `last`, zero outside: [count]."""
    position = (torch.arange(count, dtype=torch.float64) + 0.5 - first) / (last - first)
    inside = (position > 0) & (position < 1)
    return torch.where(inside, torch.sin(math.pi * position) ** 2, 0.0).to(torch.float32)


def _extent(weights: Tensor) -> slice:
    inside = weights.nonzero().flatten()
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)


def _without_holes(view: View) -> View:
    """Give cells that saw nothing, inside the valid rectangle, the mean of the nearest ones that did."""
    values, valid = view.values, view.valid
    while not bool(valid.all()):
        near = torch.nn.functional.pad(torch.where(valid, values, 0.0), (1, 1, 1, 1))
        known = torch.nn.functional.pad(valid.to(torch.float32), (1, 1, 1, 1))
        total = torch.nn.functional.avg_pool2d(near.unsqueeze(0), 3, 1, divisor_override=1).squeeze(0)
        count = torch.nn.functional.avg_pool2d(known[None, None], 3, 1, divisor_override=1)[0, 0].round()
        values = torch.where(valid, values, total / count.clamp(min=1))
        valid = valid | (count > 0)
    return replace(view, values=values, valid=valid)


def _go_on(drawn: Tensor, uncovered: Tensor, views: Sequence[View], interpolation: str) -> Tensor:
    """Fill pixels that no view covers from the view whose box is nearest."""
    height, width = uncovered.shape
    y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    nearest = torch.full((height, width), math.inf)
    for view in views:
        box = view.box
        distance_y = torch.maximum(box.top - y, y - box.bottom).clamp(min=0)
        distance_x = torch.maximum(box.left - x, x - box.right).clamp(min=0)
        distance = torch.hypot(distance_y.unsqueeze(1), distance_x.expand(height, width))
        closer = uncovered & (distance < nearest)
        nearest = torch.where(closer, distance, nearest)
        drawn = torch.where(closer, place(view.values, box, (height, width), interpolation), drawn)
    return drawn
