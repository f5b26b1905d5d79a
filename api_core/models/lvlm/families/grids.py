"""From what a view saw to a grid of tokens with its rectangle in the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ....errors import UnsupportedModel
from ....results import Box
from ...conversation.case import TokenGrid
from .pixel_probe import ProbedView

# A cell counts as picture from this share of what the fullest cell saw.
_ENOUGH = 0.5
# Resampling bends the ramp next to an edge; these many lines are left out of the fit where enough are left.
_BENT = 3
_FEWEST = 4
_TOO_FEW = 12
# A place nearer to an edge than this, in pixels, is the middle of the outermost pixel.
_EDGE_PIXEL = 0.6
# An edge this near to the picture's own lies on it: pixels of the picture, and pixels (or patches) of the view.
_SNAP_PIXELS = 0.25
_SNAP_STEPS = 0.1


@dataclass(frozen=True)
class Shape:
    """Rows and columns of tokens, and the pixels or patches of a view along one side of a token's cell."""

    rows: int
    columns: int
    side: float

    @property
    def tokens(self) -> int:
        return self.rows * self.columns


def shapes(views: Sequence[ProbedView], tokens: int, patch: int | None) -> list[Shape]:
    """How `tokens` tokens lie in the views: cells of one size, square in the model's pixels, row by row.

    patch: the side of a patch of the model's tower in pixels, where it is known; what does not fill a whole patch at a
    view's edge is not seen. Raises UnsupportedModel when the tokens cannot lie like that.
    """
    if views and views[0].in_patches:
        return _shapes_of_patches(views, tokens)
    for unit in dict.fromkeys((patch or 1, 1)):
        sides = [(view.x.shape[0] // unit, view.x.shape[1] // unit) for view in views]
        cell = _whole_root(sum(rows * columns for rows, columns in sides), tokens)
        if cell and all(rows % cell == 0 and columns % cell == 0 for rows, columns in sides):
            return [Shape(rows // cell, columns // cell, cell * unit) for rows, columns in sides]
    sizes = ", ".join(f"{view.x.shape[0]} x {view.x.shape[1]}" for view in views)
    raise UnsupportedModel(
        f"{tokens} image tokens do not lie as a grid over {len(views)} views of {sizes} pixels (height x width). The "
        "model may pool the picture into tokens without a place. Use another model for heatmaps."
    )


def patch_raster(view: ProbedView, side: int) -> ProbedView:
    """Bring patches in the model's order into rows and columns: [N] -> [R, C].

    A token is made of side x side patches: either they follow each other, or the patches lie row by row.
    """
    if side > 1 and len(view.x) % side**2 == 0:
        groups = ProbedView(*(part.reshape(-1, side**2) for part in (view.x, view.y, view.share)))
        if all(_columns(x, y) == side for x, y in zip(groups.x, groups.y, strict=True)):
            columns = _columns(groups.x.mean(1), groups.y.mean(1))
            return ProbedView(
                *(
                    part.reshape(-1, columns, side, side).transpose(1, 2).reshape(-1, columns * side)
                    for part in (groups.x, groups.y, groups.share)
                )
            )
    columns = _columns(view.x, view.y)
    return ProbedView(*(part.reshape(-1, columns) for part in (view.x, view.y, view.share)))


def token_grid(
    view: ProbedView, shape: Shape, tokens: Tensor, size: tuple[int, int], area: tuple[int, int, int, int] | None = None
) -> TokenGrid:
    """The grid of `tokens` [rows x columns] over a raster [R, C].

    area: the part of the raster it covers, as first row, last row, first column and last column (exclusive); by default
    from the first corner on as far as the shape reaches.
    """
    area = area or (0, round(shape.rows * shape.side), 0, round(shape.columns * shape.side))
    top, bottom, left, right = area
    box = raster_box(view, size, area)
    seen = torch.nn.functional.adaptive_avg_pool2d(
        view.share[None, None, top:bottom, left:right], (shape.rows, shape.columns)
    )[0, 0]
    valid = seen >= _ENOUGH * seen.max().clamp(min=1e-6)
    return TokenGrid(tokens.reshape(shape.rows, shape.columns), valid, box)


def raster_box(view: ProbedView, size: tuple[int, int], area: tuple[int, int, int, int]) -> Box:
    """The rectangle of the picture (H, W) under a part of a raster, by straight lines through its places."""
    top, bottom, left, right = area
    first_x, step_x = _line(view.x, view.share, 1, size[1])
    first_y, step_y = _line(view.y, view.share, 0, size[0])
    return Box(
        _snapped(first_x + left * step_x, size[1], step_x),
        _snapped(first_y + top * step_y, size[0], step_y),
        _snapped(first_x + right * step_x, size[1], step_x),
        _snapped(first_y + bottom * step_y, size[0], step_y),
    )


def _shapes_of_patches(views: Sequence[ProbedView], tokens: int) -> list[Shape]:
    patches = sum(len(view.x) for view in views)
    side = _whole_root(patches, tokens)
    if not side:
        raise UnsupportedModel(
            f"{patches} patches make {tokens} image tokens, which is not a whole square of patches each. The model may "
            "pool the picture into tokens without a place. Use another model for heatmaps."
        )
    found = []
    for view in views:
        raster = patch_raster(view, side).x
        if raster.shape[0] % side or raster.shape[1] % side:
            raise UnsupportedModel(
                f"{raster.shape[0]} x {raster.shape[1]} patches do not part into squares of {side} x {side}, one for "
                "each image token. Use another model for heatmaps."
            )
        found.append(Shape(raster.shape[0] // side, raster.shape[1] // side, side))
    return found


def _whole_root(units: int, tokens: int) -> int:
    """The side of a square of units / tokens units; 0 when that is no whole number."""
    if not tokens or units % tokens:
        return 0
    root = math.isqrt(units // tokens)
    return root if root * root == units // tokens else 0


def _columns(x: Tensor, y: Tensor) -> int:
    """How many places in reading order make a line: a new line goes further down than to the right."""
    breaks = (x.diff() / x.max().clamp(min=1e-6) < y.diff().abs() / y.max().clamp(min=1e-6)).nonzero()
    columns = int(breaks[0]) + 1 if len(breaks) else len(x)
    if len(x) % columns:
        raise UnsupportedModel(
            f"{len(x)} patches do not lie row by row (the first row has {columns}). Use another model for heatmaps."
        )
    return columns


def _line(places: Tensor, share: Tensor, axis: int, length: int) -> tuple[float, float]:
    """Fit places [R, C] along an axis by a straight line: where index 0 begins, and the step of one index."""
    whole = share >= 0.95 if bool((share >= 0.95).any()) else share >= _ENOUGH * share.max()
    count = whole.sum(1 - axis)
    known = count > 0
    mean = torch.where(whole, places, 0.0).sum(1 - axis, dtype=torch.float64) / count.clamp(min=1)
    index = torch.arange(len(mean), dtype=torch.float64) + 0.5
    index, mean, weight = index[known], mean[known], count[known].to(torch.float64)
    present = share.amax(1 - axis).to(torch.float64)
    if len(mean) and _is_all(mean, float(present.sum()), length, few=len(mean) < min(_TOO_FEW, len(known))):
        return _line_of_all(present, length)
    if not len(index):
        raise UnsupportedModel("The model's image processor shows it nothing of a picture. Use a larger picture.")
    if len(index) == 1:
        return float(mean[0] - index[0] * length), float(length)
    bent = max(_BENT, math.ceil(2.5 * (len(index) - 1) / max(abs(float(mean[-1] - mean[0])), 1e-6)))
    if len(index) - 2 * bent >= _FEWEST:
        index, mean, weight = index[bent:-bent], mean[bent:-bent], weight[bent:-bent]
    center_index, center = (weight * index).sum() / weight.sum(), (weight * mean).sum() / weight.sum()
    slope = (weight * (index - center_index) * (mean - center)).sum() / (weight * (index - center_index) ** 2).sum()
    start, step = float(center - center_index * slope), float(slope)
    _require_straight(places, whole, axis, start, step, length)
    return start, step


def _is_all(mean: Tensor, across: float, length: int, few: bool) -> bool:
    """Whether places [n] reach from edge to edge, with so little between that a fit would be bent by the edges.

    Either both ends show the middle of an outermost pixel (the picture was enlarged), or there are few places and, were
    the whole picture to lie `across` the view, none would be missing at an end.
    """
    near = max(_EDGE_PIXEL, 2 * length / max(across, 1e-6) if few else 0.0)
    return float(mean[0]) < near and float(mean[-1]) > length - near


def _line_of_all(share: Tensor, length: int) -> tuple[float, float]:
    """The same from how much of each index is picture [n], where all of the picture is there."""
    index = torch.arange(len(share), dtype=torch.float64) + 0.5
    across = float(share.sum())
    step = length / across
    return length / 2 - float((share * index).sum()) / across * step, step


def _require_straight(places: Tensor, whole: Tensor, axis: int, start: float, step: float, length: int) -> None:
    line = start + (torch.arange(places.shape[axis]) + 0.5) * step
    off = (places - (line if axis == 1 else line.unsqueeze(1))).abs()
    mean = float(off[whole].mean())
    if step <= 0 or mean > max(step, 0.02 * length, 0.5):
        raise UnsupportedModel(
            f"The model's image processor turns, flips or bends the picture: places are {mean:.1f} pixels off a "
            f"straight line of {step:.3f} pixels a step. Use another model for heatmaps."
        )


def _snapped(edge: float, length: int, step: float) -> float:
    near = _SNAP_PIXELS + _SNAP_STEPS * step
    return next((own for own in (0.0, float(length)) if abs(edge - own) <= near), edge)
