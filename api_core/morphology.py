"""Neighbourhoods of a mask's pixels: box means of any width, growing and shrinking. Cost does not rise with width."""

import math

import torch
from torch import Tensor

from .errors import require_one_of

GROW_SHAPES = ("round", "square")
# Values worked on at once where float64 sums are needed: 2M of them are 16 MB.
_STRIP_VALUES = 1 << 21


def box_mean(values: Tensor, width: float) -> Tensor:
    """Mean over `width` x `width` around each pixel of [..., H, W]; beyond the border the edge pixels go on.

    width: any real number from 1 on; where the box ends inside a pixel, that pixel counts by the part covered.
    """
    if width == 1:
        return values
    flat = values.reshape(-1, *values.shape[-2:])
    result = torch.empty_like(flat)
    for plane, target in zip(flat, result, strict=True):
        _mean_along(plane, width, 1, target)
        _mean_along(target, width, 0, target)
    return result.reshape(values.shape)


def grow(mask: Tensor, pixels: int, shape: str = "round") -> Tensor:
    """Grow the bright parts of [..., H, W] by `pixels`, or shrink them when negative.

    The greatest (least) value in reach is taken, so soft masks stay soft. round: an octagon that reaches `pixels`
    along rows, columns and diagonals; square: `pixels` to each side. Shrinking does not start from the picture's edge.
    """
    require_one_of(shape, GROW_SHAPES, "grow shape")
    if pixels == 0:
        return mask
    if pixels < 0:
        return 1 - grow(1 - mask, -pixels, shape)
    reach = min(pixels, max(mask.shape[-2:]))
    # A square of this half-width and a diamond of the rest, one after the other, make a regular octagon.
    square = reach if shape == "square" else round(reach * (math.sqrt(2) - 1))
    diamond = reach - square
    grown = torch.nn.functional.pad(mask, (reach,) * 4)
    grown = _greatest(grown, 2 * square + 1, down=1, right=0)
    grown = _greatest(grown, 2 * square + 1, down=0, right=1)
    if diamond:
        # Two diagonal lines reach every second pixel of a diamond; the cross adds those between.
        grown = _greatest(grown, diamond, down=1, right=1)
        grown = _greatest(grown, diamond, down=1, right=-1)
        grown = _cross(grown)
    return grown.contiguous()


def _mean_along(plane: Tensor, width: float, axis: int, target: Tensor) -> None:
    """Write to `target` the mean of `plane` [H, W] over `width` along `axis`; strips lie across it."""
    count, across = plane.shape[axis], 1 - axis
    middle = torch.arange(count, dtype=torch.float64) + 0.5
    thickness = max(1, _STRIP_VALUES // count)
    for start in range(0, plane.shape[across], thickness):
        length = min(thickness, plane.shape[across] - start)
        strip = plane.narrow(across, start, length).to(torch.float64)
        areas = strip.cumsum(axis)
        total = _area_before(strip, areas, middle + width / 2, axis)
        total -= _area_before(strip, areas, middle - width / 2, axis)
        target.narrow(across, start, length).copy_(total.div_(width))


def _area_before(strip: Tensor, areas: Tensor, position: Tensor, axis: int) -> Tensor:
    """The sum of `strip` along `axis` up to `position`, a cell's part counted by its share, edge cells without end.

    areas: the running sums, each with its own cell.
    """
    cell = position.floor().clamp(0, strip.shape[axis] - 1)
    index, beyond = cell.long(), position - cell - 1
    area = areas.index_select(axis, index)
    if bool((beyond != 0).any()):
        area.addcmul_(strip.index_select(axis, index), beyond.unsqueeze(1 - axis))
    return area


def _greatest(values: Tensor, count: int, down: int, right: int) -> Tensor:
    """The greatest of `count` values in a line, on the pixels where the whole line fits; doubling the reach."""
    have = 1
    while have < count:
        step = min(have, count - have)
        values = torch.maximum(*_shifted(values, step * down, step * right))
        have += step
    return values


def _shifted(values: Tensor, down: int, right: int) -> tuple[Tensor, Tensor]:
    height, width = values.shape[-2] - down, values.shape[-1] - abs(right)
    first, second = (0, right) if right >= 0 else (-right, 0)
    return values[..., :height, first : first + width], values[..., down:, second : second + width]


def _cross(values: Tensor) -> Tensor:
    upright = torch.maximum(values[..., :-2, 1:-1], values[..., 2:, 1:-1])
    level = torch.maximum(values[..., 1:-1, :-2], values[..., 1:-1, 2:])
    return torch.maximum(torch.maximum(upright, level), values[..., 1:-1, 1:-1])
