"""LLaVA-NeXT and LLaVA-OneVision: one look at the whole picture, then a fine grid put together from tiles.

The tiles' features are laid side by side, the rows or columns that saw only padding are cut away, and each row ends
in a learned newline, which carries the image token's id but has no place (Liu et al. 2024, LLaVA-NeXT). A fine grid
above a limit of tiles is shrunk by bilinear interpolation (Li et al. 2024, LLaVA-OneVision).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ....errors import UnsupportedModel
from ...conversation.case import PictureLayout
from .adapter import Family
from .grids import Shape, token_grid
from .pixel_probe import ProbedPicture, ProbedView


class AnyResolutionFamily(Family):
    """A base grid, then a fine grid over tiles with a newline at the end of each row."""

    def token_layout(self, config: Any, size: tuple[int, int], seen: ProbedPicture, tokens: Tensor) -> PictureLayout:
        """The base probe_picture, then the fine grid over the tiles as the model packs them."""
        side = config.vision_config.image_size // config.vision_config.patch_size
        cell = seen.views[0].x.shape[0] / side
        base = token_grid(seen.views[0], Shape(side, side, cell), tokens[: side * side], size)
        fine = tokens[side * side :]
        if len(seen.views) == 1:
            # Several pictures in one prompt are seen as a whole only, with one newline each.
            return PictureLayout(size, (base,), fine)
        top, bottom, left, right = _unpadded_area(config, size, side)
        rows, columns = self.packed(config, bottom - top, right - left, side)
        if rows * (columns + 1) != len(fine):
            raise UnsupportedModel(
                f"{self.title}: {len(fine)} tokens do not make {rows} rows of {columns} and a newline for a picture of "
                f"{size[0]} x {size[1]} pixels (height x width). Its processor and its model disagree; use another one."
            )
        lines = fine.reshape(rows, columns + 1)
        if not rows * columns:
            # Of a picture thinner than a cell only the newlines are left.
            return PictureLayout(size, (base,), fine)
        canvas = _canvas(config, size, seen.views[1:])
        area = tuple(round(edge * cell) for edge in (top, bottom, left, right))
        shape = Shape(rows, columns, cell)
        grid = token_grid(canvas, shape, lines[:, :-1], size, area=(area[0], area[1], area[2], area[3]))
        return PictureLayout(size, (base, grid), lines[:, -1])

    def packed(self, config: Any, rows: int, columns: int, side: int) -> tuple[int, int]:
        """Rows and columns of the fine grid as the answer sees it: here all of them."""
        return rows, columns


class ShrunkAnyResolutionFamily(AnyResolutionFamily):
    """As above; a fine grid that would be larger than the limit of tiles is shrunk."""

    def packed(self, config: Any, rows: int, columns: int, side: int) -> tuple[int, int]:
        """The fine grid brought below the limit that `vision_aspect_ratio` names ("anyres_max_9": nine tiles)."""
        most = int(str(getattr(config, "vision_aspect_ratio", "anyres_max_9")).rpartition("_")[2])
        ratio = math.sqrt(rows * columns / (most * side**2))
        return (int(rows // ratio), int(columns // ratio)) if ratio > 1.1 else (rows, columns)


def _tiles(config: Any, size: tuple[int, int]) -> tuple[int, int]:
    from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

    rows, columns = get_anyres_image_grid_shape(size, config.image_grid_pinpoints, config.vision_config.image_size)
    return int(rows), int(columns)


def _canvas(config: Any, size: tuple[int, int], tiles: Sequence[ProbedView]) -> ProbedView:
    rows, columns = _tiles(config, size)
    if rows * columns != len(tiles):
        raise UnsupportedModel(
            f"A picture of {size[0]} x {size[1]} pixels (height x width) was cut into {len(tiles)} tiles where the "
            f"model expects {rows} x {columns}. Its processor does not fit its configuration; use another model."
        )

    def joined(parts: list[Tensor]) -> Tensor:
        lines = [torch.cat(parts[row * columns : (row + 1) * columns], 1) for row in range(rows)]
        return torch.cat(lines, 0)

    return ProbedView(joined([t.x for t in tiles]), joined([t.y for t in tiles]), joined([t.share for t in tiles]))


def _unpadded_area(config: Any, size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """The fine cells that the model keeps: first row, last row, first column, last column (exclusive)."""
    from transformers.models.llava_next.modeling_llava_next import unpad_image

    tiles = _tiles(config, size)
    rows, columns = tiles[0] * side, tiles[1] * side
    row_of, column_of = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    kept = unpad_image(torch.stack([row_of, column_of]), size)
    top, left = kept.flatten(1)[:, 0].tolist() if kept.numel() else (0, 0)
    return top, top + kept.shape[1], left, left + kept.shape[2]
