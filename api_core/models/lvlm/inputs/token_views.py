"""From scores of image tokens to views of their pictures, in the pixels of the pictures as they were given."""

import torch
from torch import Tensor

from ....choices import Reading
from ....errors import InvalidInput
from ....results import Box, View, require_finite
from ...conversation.case import PictureLayout, PromptRow, TokenGrid


def views_of_pictures(
    row: PromptRow, values: Tensor, reading: Reading, sizes: list[tuple[int, int]]
) -> list[tuple[View, ...]]:
    """Values [M, n] of a case's image tokens, picture after picture, as views of each: a view for each grid of tokens.

    sizes: (H, W) of the pictures as they were given. In the upstream reading the one grid of each is laid over the
    whole picture, whatever part of it the model saw, as the official code does.
    """
    require_finite(values, "The attention to the pictures")
    places = row.layouts or ()
    found = []
    first = 0
    for picture, size in zip(places, sizes, strict=True):
        own = values[:, first : first + len(picture.positions)]
        first += len(picture.positions)
        found.append(tuple(_views(picture, own, reading, size)))
    return found


def _views(picture: PictureLayout, values: Tensor, reading: Reading, size: tuple[int, int]) -> list[View]:
    if reading == "upstream" and len(picture.grids) != 1:
        raise InvalidInput(
            f"The upstream reading knows one grid of tokens per picture; this model looks at a picture in "
            f"{len(picture.grids)}. Use the precise reading."
        )
    order = picture.positions
    views = []
    for grid in picture.grids:
        cells = values[:, torch.searchsorted(order, grid.tokens.flatten())]
        cells = cells.reshape(len(values), *grid.tokens.shape).contiguous()
        if reading == "upstream":
            views.append(View(cells, Box(0, 0, size[1], size[0]), torch.ones_like(grid.valid)))
        else:
            views.append(View(cells, grid.box, grid.valid))
    return views


def rescale_layout(places: PictureLayout, size: tuple[int, int]) -> PictureLayout:
    """The places of a picture that was shrunk, in the pixels of the picture as it came: (H, W)."""
    if places.size == size:
        return places
    down, right = size[0] / places.size[0], size[1] / places.size[1]
    grids = tuple(TokenGrid(grid.tokens, grid.valid, grid.box.scaled(right, down)) for grid in places.grids)
    return PictureLayout(size, grids, places.unplaced)
