"""How a picture is shown to a model: the rectangles it looks at and the pixels it gets of each, each encoded once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...geometry import cut, seen_cells, windows
from ...models.clip import ClipModel, Encoding
from ...models.clip.cache import encoding_key, encodings_of
from ...pictures import AnyPicture, flatten_alpha, to_pil
from ...progress import Progress
from ...results import Box

# Beyond this the official order (resize all of it, then cut) would need gigabytes; the cut alone is resized instead.
_LARGEST_RESIZE = 1 << 25


@dataclass(frozen=True)
class ModelView:
    """What a model sees at once. pixels: [3, side, side], 0..1. box: the rectangle of the picture that the map is laid
    over. valid: bool [rows, columns], the cells that see picture."""

    pixels: Tensor
    box: Box
    valid: Tensor


def picture_size(picture: AnyPicture) -> tuple[int, int]:
    """(H, W)."""
    if isinstance(picture, Image.Image):
        return picture.height, picture.width
    return picture.shape[0], picture.shape[1]


def count_views(picture: AnyPicture, fit: str, side: int) -> int:
    """How many squares of a picture the model is shown."""
    return len(windows(picture_size(picture), fit, side))


def views_precisely(
    picture: Tensor,
    fit: str,
    side: int,
    grid: tuple[int, int],
    interpolation: str = "bicubic",
    fill: tuple[float, ...] = (0.5, 0.5, 0.5),
) -> list[ModelView]:
    """The views of a picture that `fit` asks for, resampled in float with antialiasing; alpha lies on white."""
    pixels = flatten_alpha(picture)
    size = (pixels.shape[0], pixels.shape[1])
    views = []
    for box in windows(size, fit, side):
        seen = cut(pixels, box, (side, side), interpolation, fill=fill if fit == "letterbox" else None)
        views.append(ModelView(seen.clamp_(0, 1).movedim(-1, 0).contiguous(), box, _valid_cells(size, box, grid)))
    return views


def _valid_cells(size: tuple[int, int], box: Box, grid: tuple[int, int]) -> Tensor:
    """The cells whose centre lies in the picture; of a picture thinner than a cell, the row or column nearest to it."""
    valid = seen_cells(size, box, grid)
    if bool(valid.any()):
        return valid
    rows = _nearest(size[0], box.top, box.height, grid[0])
    columns = _nearest(size[1], box.left, box.width, grid[1])
    return rows.unsqueeze(1) & columns.unsqueeze(0)


def _nearest(length: int, start: float, extent: float, cells: int) -> Tensor:
    centers = start + (torch.arange(cells, dtype=torch.float64) + 0.5) * (extent / cells)
    distance = torch.maximum(-centers, centers - length).clamp(min=0)
    return distance <= distance.min() + 1e-9


def view_as_upstream(picture: AnyPicture, side: int, grid: tuple[int, int]) -> ModelView:
    """The middle of a picture as the official code sees it, and the whole picture as the place of its map.

    The shorter side is resized to `side` in 8 bits (bicubic, in the picture's own mode: a palette's colours are taken
    from the nearest pixel, alpha is dropped afterwards), then the middle is cut out.
    """
    image = picture if isinstance(picture, Image.Image) else to_pil(picture)
    height, width = image.height, image.width
    short, long = min(width, height), max(width, height)
    new_long = int(side * long / short)
    new_width, new_height = (side, new_long) if width <= height else (new_long, side)
    left, top = round((new_width - side) / 2.0), round((new_height - side) / 2.0)
    if short == side:
        seen = image.crop((left, top, left + side, top + side))
    elif new_width * new_height <= _LARGEST_RESIZE:
        resized = image.resize((new_width, new_height), Image.Resampling.BICUBIC)
        seen = resized.crop((left, top, left + side, top + side))
    else:
        across, down = width / new_width, height / new_height
        box = (left * across, top * down, (left + side) * across, (top + side) * down)
        seen = image.resize((side, side), Image.Resampling.BICUBIC, box=box)
    levels = torch.from_numpy(np.array(seen.convert("RGB"))).movedim(-1, 0)
    valid = torch.ones(grid, dtype=torch.bool)
    return ModelView(levels.to(torch.float32).div(255).contiguous(), Box(0, 0, width, height), valid)


def encode_views(
    model: ClipModel,
    views: Sequence[ModelView],
    layer: int,
    fit: str,
    batch_size: int | None,
    on_progress: Progress,
    keep: bool = True,
    *,
    neighbours: bool = False,
) -> list[Encoding]:
    """The encodings of `views` at `layer`, in order, with neighbours where asked for; on_progress counts views times
    blocks.

    keep: for further queries. Of more views than are kept, the first are gone when they are asked for again.
    """
    cache = encodings_of(model)
    settings = (model.name, layer, str(model.dtype), fit, neighbours)
    keys = [encoding_key(view.pixels, *settings, _cells(view)) for view in views]
    found = {key: encoding for key in keys if (encoding := cache.get(key)) is not None}
    missing = {key: view for key, view in zip(keys, views, strict=True) if key not in found}
    total = len(views) * model.depth
    done = total - len(missing) * model.depth
    # Pictures without padding go through by themselves: a mask of padding costs the attention its quickest kernels.
    for padded in (False, True):
        group = {key: view for key, view in missing.items() if bool(view.valid.all()) != padded}
        if not group:
            continue

        def report(steps: int, _: int, base: int = done) -> None:
            on_progress(base + steps, total)

        encodings = model.encode_pictures(
            torch.stack([view.pixels for view in group.values()]),
            layer,
            valid=torch.stack([view.valid for view in group.values()]) if padded else None,
            neighbours=neighbours,
            batch_size=batch_size,
            on_progress=report,
        )
        for key, encoding in zip(group, encodings, strict=True):
            found[key] = encoding
            if keep:
                cache.put(key, encoding)
        done += len(group) * model.depth
    on_progress(total, total)
    return [found[key] for key in keys]


def _cells(view: ModelView) -> bytes:
    return bytes(view.valid.flatten().to(torch.uint8).tolist())
