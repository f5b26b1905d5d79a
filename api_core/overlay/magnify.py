"""Magnifying: what matters becomes larger at the cost of the rest, the picture's size stays.

A warp whose axes are separable, as in AttWarp (Dalal et al., 2510.09741) and with the maximum profile of PM (2503.10183),
but bounded: nothing grows more than `zoom` times or shrinks below `keep` of its size, and what shrinks is averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..autograd import without_autocast
from ..errors import InvalidInput

Profile = Literal["peak", "mean"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
# Output pixels whose weights make one matrix, and rows that are worked on at once: they stay in the processor's cache.
_BLOCK = 16
_STRIP = 128


@dataclass(frozen=True)
class MagnifyStyle:
    """What matters becomes larger, the rest smaller.

    zoom: how many times larger at most, along each axis, from 1 (not at all) on. keep: what is left of the size of the
    rest at least, 0.05..1. profile: a row or column matters as its greatest value does (`peak`), or its mean.
    in_place: the middle of what matters stays where it is; else it moves towards the middle of the picture.
    """

    zoom: float = 3.0
    keep: float = 0.2
    profile: Profile = "peak"
    in_place: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.zoom) and 1 <= self.zoom <= MOST_ZOOM):
            raise InvalidInput(f"zoom must lie between 1 (nothing grows) and {MOST_ZOOM:g}, not {self.zoom}.")
        if not LEAST_KEPT <= self.keep <= 1:
            raise InvalidInput(f"keep must lie between {LEAST_KEPT:g} and 1 (nothing shrinks), not {self.keep}.")
        if self.profile not in PROFILES:
            raise InvalidInput(f"There is no profile {self.profile!r}. Choose one of {', '.join(PROFILES)}.")


MOST_ZOOM = 10.0
LEAST_KEPT = 0.05


@dataclass(frozen=True)
class AxisMap:
    """Where each point of an axis is shown: from `picture` to `shown`, pieces of straight lines, both rising, float64.

    Both start at 0 and end at the axis' length; beyond it nothing moves.
    """

    picture: np.ndarray
    shown: np.ndarray

    @property
    def length(self) -> float:
        return float(self.picture[-1])

    def to_shown(self, at: np.ndarray) -> np.ndarray:
        return _follow(at, self.picture, self.shown)

    def to_picture(self, at: np.ndarray) -> np.ndarray:
        return _follow(at, self.shown, self.picture)

    def reversed(self) -> AxisMap:
        return AxisMap(self.shown, self.picture)

    @property
    def moves(self) -> bool:
        return not np.array_equal(self.picture, self.shown)


def still(length: int) -> AxisMap:
    """The axis of a picture in which nothing moved."""
    ends = np.array([0.0, float(length)])
    return AxisMap(ends, ends)


def _follow(at: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    inside = np.interp(at, source, target)
    return np.where((at < source[0]) | (at > source[-1]), at, inside)


def axis_maps(mask: Tensor, style: MagnifyStyle, strength: float = 1.0) -> tuple[AxisMap, AxisMap]:
    """Where the rows and the columns of a picture go whose mask is [H, W], 0..1; at strength 0 nothing moves."""
    mask = mask.to(torch.float32)
    profiles = (mask.amax(1), mask.amax(0)) if style.profile == "peak" else (mask.mean(1), mask.mean(0))
    rows, columns = (_axis_map(profile.double().numpy(), style, strength) for profile in profiles)
    return rows, columns


def _axis_map(profile: np.ndarray, style: MagnifyStyle, strength: float) -> AxisMap:
    """Pixel j becomes 1 + strength * u_j wide, within `keep` and `zoom`; the widths add up to the axis' length."""
    length = len(profile)
    excess = profile - profile.min() if style.in_place else profile
    if not excess.mean() > 0 or np.ptp(profile) == 0:
        return still(length)
    excess = excess / excess.mean()
    if style.in_place:
        squares = excess**2
        anchor = float((squares * (np.arange(length) + 0.5)).sum() / squares.sum())
    else:
        anchor = 0.0
    edges = np.union1d(np.arange(length + 1, dtype=np.float64), [anchor])
    widths = np.diff(edges)
    pieces = excess[np.minimum(edges[:-1].astype(int), length - 1)]
    growth = np.empty_like(pieces)
    for side in (edges[:-1] < anchor, edges[:-1] >= anchor):
        if side.any():  # each side keeps its length, so that the anchor stays
            growth[side] = pieces[side] - np.average(pieces[side], weights=widths[side])
    most, least = growth.max(), growth.min()
    if not most > 0 > least:
        return still(length)
    scale = strength * min(1.0, (style.zoom - 1) / most, (1 - style.keep) / -least)
    if scale == 0:
        return still(length)
    shown = np.concatenate([[0.0], np.cumsum(widths * (1 + scale * growth))])
    shown *= length / shown[-1]
    shown[-1] = length
    return AxisMap(edges, shown)


def warp(picture: Tensor, rows: AxisMap, columns: AxisMap, out: Tensor | None = None) -> Tensor:
    """Show `picture` float32 [H, W, C] as the two axes say: [H, W, C], written to `out` where there is one.

    Each pixel is the mean, weighted by a triangle, of what lies under it in the picture and at least of its neighbours:
    nothing aliases where the picture shrinks, and where nothing moves the picture is the same to the bit.
    """
    result = torch.empty_like(picture) if out is None else out
    if not rows.moves and not columns.moves:
        return result.copy_(picture)
    height, width, channels = picture.shape
    down, across = _blocks(rows), _blocks(columns)
    widened = [
        (first, last, start, end, _per_channel(weights, channels)) for first, last, start, end, weights in across
    ]
    flat = picture.reshape(height, width * channels)
    with without_autocast():
        for top in range(0, height, _STRIP):
            bottom = min(top + _STRIP, height)
            strip = torch.empty(bottom - top, width * channels)
            for first, last, start, end, weights in down[top // _BLOCK : -(-bottom // _BLOCK)]:
                torch.mm(weights, flat[start:end], out=strip[first - top : last - top])
            target = result[top:bottom].reshape(bottom - top, width * channels)
            drawn = target if target.data_ptr() == result[top:bottom].data_ptr() else torch.empty_like(target)
            for first, last, start, end, weights in widened:
                drawn[:, first * channels : last * channels] = strip[:, start * channels : end * channels] @ weights
            if drawn is not target:
                result[top:bottom] = drawn.view(bottom - top, width, channels)
    return result


_Block = tuple[int, int, int, int, Tensor]


def _blocks(axis: AxisMap) -> list[_Block]:
    """Output pixels first..last as means of picture pixels start..end: weights [last - first, end - start]."""
    length = round(axis.length)
    edges = axis.to_picture(np.arange(length + 1, dtype=np.float64))
    middle, reach = (edges[1:] + edges[:-1]) / 2, np.maximum(edges[1:] - edges[:-1], 1.0)
    blocks = []
    for first in range(0, length, _BLOCK):
        last = min(first + _BLOCK, length)
        start = max(int(np.floor((middle[first:last] - reach[first:last]).min())), 0)
        end = min(int(np.ceil((middle[first:last] + reach[first:last]).max())), length)
        centres = np.arange(start, end) + 0.5
        distance = np.abs(centres[None, :] - middle[first:last, None]) / reach[first:last, None]
        weights = np.maximum(1 - distance, 0)
        weights /= weights.sum(1, keepdims=True)
        blocks.append((first, last, start, end, torch.from_numpy(weights).to(torch.float32)))
    return blocks


def _per_channel(weights: Tensor, channels: int) -> Tensor:
    """Weights [outputs, inputs] for rows of interleaved channels: [inputs * C, outputs * C]."""
    return torch.kron(weights.T.contiguous(), torch.eye(channels))


@dataclass(frozen=True)
class Mapping:
    """Where the points of one picture are shown in its prompted picture, and the way back. size: [H, W] of both.

    Points are (x, y), boxes (left, top, right, bottom), in pixels whose centres lie a half in from their edges.
    """

    rows: AxisMap
    columns: AxisMap

    @property
    def size(self) -> tuple[int, int]:
        return round(self.rows.length), round(self.columns.length)

    @property
    def moves(self) -> bool:
        return self.rows.moves or self.columns.moves

    @classmethod
    def identity(cls, size: tuple[int, int]) -> Mapping:
        """Of a style that moves nothing."""
        return cls(still(size[0]), still(size[1]))

    def points_to_shown(self, points: Tensor) -> Tensor:
        """[..., 2] of the picture as [..., 2] of the prompted picture, float64."""
        return self._apply(points, 1, self.columns.to_shown, self.rows.to_shown)

    def points_to_picture(self, points: Tensor) -> Tensor:
        return self._apply(points, 1, self.columns.to_picture, self.rows.to_picture)

    def boxes_to_shown(self, boxes: Tensor) -> Tensor:
        """[..., 4] of the picture as [..., 4] of the prompted picture, float64: a box stays a box."""
        return self._apply(boxes, 2, self.columns.to_shown, self.rows.to_shown)

    def boxes_to_picture(self, boxes: Tensor) -> Tensor:
        return self._apply(boxes, 2, self.columns.to_picture, self.rows.to_picture)

    def mask_to_shown(self, mask: Tensor) -> Tensor:
        """[H, W] of the picture as [H, W] of the prompted picture."""
        return self._warp_mask(mask, self.rows, self.columns)

    def mask_to_picture(self, mask: Tensor) -> Tensor:
        return self._warp_mask(mask, self.rows.reversed(), self.columns.reversed())

    def _warp_mask(self, mask: Tensor, rows: AxisMap, columns: AxisMap) -> Tensor:
        if tuple(mask.shape) != self.size:
            raise InvalidInput(f"The mask is {list(mask.shape)}, and the picture it goes with {list(self.size)}.")
        return warp(mask.to(torch.float32).unsqueeze(-1), rows, columns).squeeze(-1)

    def _apply(
        self,
        values: Tensor,
        pairs: int,
        along_x: Callable[[np.ndarray], np.ndarray],
        along_y: Callable[[np.ndarray], np.ndarray],
    ) -> Tensor:
        if values.shape[-1] != 2 * pairs:
            what = "Points are [..., 2]" if pairs == 1 else "Boxes are [..., 4]"
            raise InvalidInput(f"{what}, not {list(values.shape)}.")
        given = values.detach().to("cpu", torch.float64).numpy()
        if not np.isfinite(given).all():
            raise InvalidInput("A point or box holds NaN or infinity: give finite pixel positions.")
        moved = np.empty_like(given)
        moved[..., 0::2], moved[..., 1::2] = along_x(given[..., 0::2]), along_y(given[..., 1::2])
        return torch.from_numpy(moved)
