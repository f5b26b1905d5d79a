"""Where the image tokens of one of ComfyUI's encoders lie: asked with pictures whose pixels say where they are.

A black, a white and two ramp pictures go as far as the tower, which does not run; what would have entered it, patch by
patch or as a picture, tells which part of the picture each token is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...api_core.errors import UnsupportedModel
from ...api_core.models.conversation.case import PictureLayout, TokenGrid
from ...api_core.results import Box

TOWERS = ("visual", "vision_model")
_EDGE = 0.25  # of a cell: what rounding leaves between a picture's edge and the outermost cells


class _EndOfCall(Exception):
    """No error: how the call is ended before the tower runs."""


@dataclass(frozen=True)
class Places:
    """A grid of tokens, in order row by row. box: the part of the picture that it covers, the whole being 0..1."""

    rows: int
    columns: int
    box: Box

    @property
    def count(self) -> int:
        """Tokens of the picture."""
        return self.rows * self.columns

    def layout(self, start: int, size: tuple[int, int]) -> PictureLayout:
        """The layout of a picture (H, W) whose tokens begin at `start` of a row."""
        tokens = torch.arange(start, start + self.count).reshape(self.rows, self.columns)
        grid = TokenGrid(tokens, torch.ones_like(tokens, dtype=torch.bool), self.box.scaled(size[1], size[0]))
        return PictureLayout(size, (grid,))


def find_places(
    transformer: Any, entry_of: Callable[[Tensor], Mapping[str, Any]], picture: Tensor, device: torch.device
) -> Places:
    """The places of the tokens of any picture of this one's size [H, W, 3].

    entry_of: what the tokeniser puts into a prompt for a picture. The tower runs once, for the number of tokens.
    """
    made, _ = transformer.preprocess_embed(dict(entry_of(picture)), device=device)
    count = made.reshape(-1, made.shape[-1]).shape[0]
    height, width = picture.shape[:2]
    across = ((torch.arange(width) + 0.5) / width)[None, :, None].expand(height, width, 3)
    down = ((torch.arange(height) + 0.5) / height)[:, None, None].expand(height, width, 3)
    probes = (torch.zeros(height, width, 3), torch.ones(height, width, 3), across, down)
    black, white, x, y = (_entering_tower(transformer, entry_of(probe.contiguous())) for probe in probes)
    with torch.inference_mode(False):
        span = white - black
        known = span.abs() > 1e-6
        xs, ys = ((ramp - black) / torch.where(known, span, 1.0) for ramp in (x, y))
        found = _of_raster(xs[0], ys[0], count) if xs.ndim == 4 else _of_patches(xs, ys, known, count)
    if found is None:
        raise UnsupportedModel(
            f"The {count} image tokens of {type(transformer).__name__.rstrip('_')} lie in no grid over the picture, so "
            "there is no heatmap of them. Use Load LVLM."
        )
    return found


def _entering_tower(transformer: Any, entry: Mapping[str, Any]) -> Tensor:
    """What enters the tower for a picture, float32 on the CPU."""
    tower = next((getattr(transformer, name) for name in TOWERS if hasattr(transformer, name)), None)
    if tower is None:
        raise UnsupportedModel(
            f"{type(transformer).__name__.rstrip('_')} has no picture tower that is known ({', '.join(TOWERS)}), so "
            "its image tokens cannot be placed. Use Load LVLM."
        )
    kept: list[Tensor] = []

    def keep(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        kept.append(args[0] if args else next(iter(kwargs.values())))
        raise _EndOfCall

    hook = tower.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        transformer.preprocess_embed(dict(entry), device=torch.device("cpu"))
    except _EndOfCall:
        pass
    finally:
        hook.remove()
    with torch.inference_mode(False):
        return kept[0].detach().to("cpu", torch.float32).clone()


def _of_patches(xs: Tensor, ys: Tensor, known: Tensor, count: int) -> Places | None:
    """From flattened patches [(1,) P, F], those of a token one after the other; what shows nothing does not count."""
    xs, ys, known = (part.reshape(-1, part.shape[-1]) for part in (xs, ys, known))
    if len(xs) % count:
        return None
    weights = known.float().reshape(count, -1)
    total = weights.sum(1)
    if not bool(total.all()):
        return None
    x, y = ((part.reshape(count, -1) * weights).sum(1) / total for part in (xs, ys))
    turns = (x[1:] <= x[:-1]).nonzero().flatten()
    columns = int(turns[0]) + 1 if len(turns) else count
    if count % columns:
        return None
    return _grid(x.reshape(-1, columns), y.reshape(-1, columns))


def _of_raster(xs: Tensor, ys: Tensor, count: int) -> Places | None:
    """From a picture [C, h, w] that is cut into equal cells, row by row."""
    height, width = xs.shape[1:]
    side = (height * width / count) ** 0.5
    rows, columns = round(height / side), round(width / side)
    if rows * columns != count or height % rows or width % columns:
        return None
    cells = [part.mean(0).reshape(rows, height // rows, columns, width // columns).mean((1, 3)) for part in (xs, ys)]
    return _grid(*cells)


def _grid(x: Tensor, y: Tensor) -> Places | None:
    """From the cells' middles [rows, columns]; None where they are none of a grid."""
    across, down = x.mean(0), y.mean(1)
    (left, right), (top, bottom) = _extent(across), _extent(down)
    wide, high = (right - left) / len(across), (bottom - top) / len(down)
    even = bool(((x - across).abs() < _EDGE * wide).all() and ((y - down[:, None]).abs() < _EDGE * high).all())
    return Places(len(down), len(across), Box(left, top, right, bottom)) if even and wide > 0 and high > 0 else None


def _extent(middles: Tensor) -> tuple[float, float]:
    """Where cells with these middles begin and end; at the picture's edge where they come as near as rounding does."""
    first, last = float(middles[0]), float(middles[-1])
    cell = (last - first) / (len(middles) - 1) if len(middles) > 1 else 2 * min(first, 1 - first)
    begin, end = first - cell / 2, last + cell / 2
    return (0.0 if abs(begin) < _EDGE * cell else begin), (1.0 if abs(1 - end) < _EDGE * cell else end)
