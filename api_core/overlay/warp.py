"""Prompted pictures whose pixels moved: where each point is shown, the picture so drawn, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..autograd import without_autocast
from ..errors import InvalidInput

# Output pixels whose weights make one matrix, and rows that are worked on at once: they stay in the processor's cache.
_BLOCK = 16
_STRIP = 128


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


_Way = Callable[[np.ndarray], np.ndarray]


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
    spread = weights.T[:, None, :, None] * torch.eye(channels)[None, :, None, :]
    return spread.reshape(weights.shape[1] * channels, -1)


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

    def to_shown(self, places: Tensor) -> Tensor:
        """Points [..., 2] or boxes [..., 4] of the picture as they lie in the prompted picture, float64."""
        return self._move(places, self.columns.to_shown, self.rows.to_shown)

    def to_picture(self, places: Tensor) -> Tensor:
        """The way back of `to_shown`."""
        return self._move(places, self.columns.to_picture, self.rows.to_picture)

    def mask_to_shown(self, mask: Tensor) -> Tensor:
        """A mask [H, W] of the picture as one of the prompted picture."""
        return self._warp_mask(mask, self.rows, self.columns)

    def mask_to_picture(self, mask: Tensor) -> Tensor:
        """The way back of `mask_to_shown`, as far as pixels allow."""
        return self._warp_mask(mask, self.rows.reversed(), self.columns.reversed())

    def draw(self, picture: Tensor, out: Tensor | None = None) -> Tensor:
        """The picture float32 [H, W, C] as it is shown; written to `out` where there is one."""
        return warp(picture, self.rows, self.columns, out)

    def _warp_mask(self, mask: Tensor, rows: AxisMap, columns: AxisMap) -> Tensor:
        if tuple(mask.shape) != self.size:
            raise InvalidInput(f"The mask is {list(mask.shape)}, and the picture it goes with {list(self.size)}.")
        return warp(mask.to(torch.float32).unsqueeze(-1), rows, columns).squeeze(-1)

    def _move(self, places: Tensor, along_x: _Way, along_y: _Way) -> Tensor:
        if places.ndim == 0 or places.shape[-1] not in (2, 4):
            raise InvalidInput(f"Points are [..., 2] and boxes [..., 4], not {list(places.shape)}.")
        given = places.detach().to("cpu", torch.float64).numpy()
        if not np.isfinite(given).all():
            raise InvalidInput("A point or box holds NaN or infinity. Give finite pixel positions.")
        moved = np.empty_like(given)
        moved[..., 0::2], moved[..., 1::2] = along_x(given[..., 0::2]), along_y(given[..., 1::2])
        return torch.from_numpy(moved)
