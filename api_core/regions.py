"""Where a mask is bright: connected regions as boxes and points, and the crop of a box with its way back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .errors import InvalidInput, require_one_of, shortened
from .geometry import cut
from .pictures import as_masks
from .results import Box, require_finite
from .settings import require_number

# Rows of windows that are looked at at once.
_STRIP = 64
LEAST_ASPECT = 1e-6


@dataclass(frozen=True)
class Region:
    """A connected bright part of a mask. x, y, width, height: its box in whole pixels after padding.

    score: mean or greatest value of the region. peak: (x, y) of its brightest pixel. mass: the sum of its values.
    """

    x: int
    y: int
    width: int
    height: int
    label: str
    score: float
    peak: tuple[int, int]
    peak_value: float
    mass: float
    pixels: int

    def __post_init__(self) -> None:
        at = dict(zip(("the peak's x", "the peak's y"), self.peak, strict=True))
        numbers = {name: value for name, value in vars(self).items() if name not in ("label", "peak")}
        for name, value in {**numbers, **at}.items():
            require_number(value, f"A region: {name}")

    def as_bounding_box(self) -> dict[str, int | float | str]:
        """The box as ComfyUI's BOUNDING_BOX dictionary."""
        box = {"x": self.x, "y": self.y, "width": self.width, "height": self.height}
        return {**box, "label": self.label, "score": self.score}


BoundingBox = Mapping[str, int | float | str]


def find_regions(
    mask: Tensor,
    *,
    threshold: float = 0.5,
    max_regions: int = 8,
    padding: float = 0.0,
    padding_unit: str = "pixels",
    aspect: float | None = None,
    multiple: int = 1,
    label: str = "",
    score: str = "mean",
) -> tuple[Region, ...]:
    """The 8-connected regions of `mask` [H, W] at or above `threshold` (and above 0), those of most mass first.

    padding: added on each side, in pixels or as a fraction of the region's own width and height. aspect: width divided
    by height that the box is widened to. multiple: its sides are rounded up to this. The box stays inside the picture:
    there, and only there, aspect and multiple give way. No region above the threshold gives an empty tuple.
    """
    masks = as_masks(mask)
    if len(masks) != 1:
        raise InvalidInput(f"Regions are found in one mask [H, W] at a time, not in {len(masks)}. Loop over the batch.")
    _require_settings(threshold, max_regions, padding, padding_unit, aspect, multiple, score)
    values = masks[0].numpy()
    size = (values.shape[0], values.shape[1])
    regions = []
    for part in _components(values, (values >= threshold) & (values > 0), int(max_regions)):
        share_x, share_y = (part.width, part.height) if padding_unit == "fraction" else (1, 1)
        x, y, width, height = _fitted(part, size, padding * share_x, padding * share_y, aspect, multiple)
        value = part.mass / part.pixels if score == "mean" else part.peak_value
        regions.append(replace(part, x=x, y=y, width=width, height=height, label=label, score=value))
    return tuple(regions)


def _components(values: np.ndarray, inside: np.ndarray, most: int) -> list[Region]:
    """The 8-connected parts of `inside` (bool [H, W]) with their tight boxes: the `most` of greatest mass.

    Of equal masses the one that begins higher up, then farther left, is first.
    """
    from scipy import ndimage  # only where regions are found: it takes its time to load

    labels, _ = ndimage.label(inside, np.ones((3, 3)))
    mass = np.bincount(labels.ravel(), values.ravel())[1:]
    slices = ndimage.find_objects(labels)
    parts = []
    for index in np.argsort(-mass, kind="stable")[:most]:
        rows, columns = slices[index]
        own = labels[rows, columns] == index + 1
        y, x = np.unravel_index(np.where(own, values[rows, columns], -1).argmax(), own.shape)
        parts.append(
            Region(
                x=columns.start,
                y=rows.start,
                width=columns.stop - columns.start,
                height=rows.stop - rows.start,
                label="",
                score=0.0,
                peak=(columns.start + int(x), rows.start + int(y)),
                peak_value=float(values[rows, columns][y, x]),
                mass=float(mass[index]),
                pixels=int(own.sum()),
            )
        )
    return parts


def best_window(mask: Tensor, side: int, label: str = "") -> tuple[Region, str]:
    """The square of `side` pixels that holds most of `mask` [H, W], inside the picture; of equal ones the first.

    A side beyond the picture's is cut to it. A mask that is the same everywhere favours no place: its window is the
    whole picture. Also what to warn of, or "".
    """
    masks = as_masks(mask)
    if len(masks) != 1:
        raise InvalidInput(f"A window is found in one mask [H, W] at a time, not in {len(masks)}. Loop over the batch.")
    require_number(side, "The window's side", 1, whole=True)
    values = masks[0].numpy()
    rows, columns = values.shape
    height, width, warning = min(int(side), rows), min(int(side), columns), ""
    if values.min() == values.max():
        height, width = rows, columns
        warning = "The mask is the same everywhere, so no window is better than another: it is the whole picture."
    elif (height, width) == (rows, columns):
        warning = f"A window of {side} pixels holds the whole picture of {columns} x {rows}: nothing is cut out."
    y, x = _fullest(values, height, width)
    inside = values[y : y + height, x : x + width]
    peak_y, peak_x = np.unravel_index(inside.argmax(), inside.shape)
    mass = float(inside.sum(dtype=np.float64))
    found = Region(
        x=x,
        y=y,
        width=width,
        height=height,
        label=label,
        score=mass / inside.size,
        peak=(x + int(peak_x), y + int(peak_y)),
        peak_value=float(inside.max()),
        mass=mass,
        pixels=inside.size,
    )
    return found, warning


def _fullest(values: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Where the window of `height` x `width` begins that holds most of `values` [H, W]; of equal ones the first.

    In strips, so that what is worked on stays in the processor's cache: sums down a column go on from row to row, those
    along a row are differences of its running sum. To a few roundings, equal is equal.
    """
    count = values.shape[0] - height + 1
    column = values[:height].sum(0, dtype=np.float64)
    most, found = -math.inf, (0, 0)
    for top in range(0, count, _STRIP):
        bottom = min(top + _STRIP, count)
        down = np.empty((bottom - top, values.shape[1]))
        down[0] = column
        np.subtract(
            values[top + height : bottom + height - 1], values[top : bottom - 1], out=down[1:], dtype=np.float64
        )
        np.cumsum(down, 0, out=down)
        if bottom < count:
            column = down[-1] + values[bottom + height - 1] - values[bottom - 1]
        along = np.zeros((bottom - top, values.shape[1] + 1))
        np.cumsum(down, 1, out=along[:, 1:])
        held = along[:, width:] - along[:, :-width]
        highest = float(held.max())
        if highest > most + 1e-9 * highest:
            most = highest
            y, x = np.unravel_index(np.argmax(held >= highest - 1e-9 * highest), held.shape)
            found = top + int(y), int(x)
    return found


def bounding_boxes(regions: Sequence[Region]) -> list[dict[str, int | float | str]]:
    """All regions as ComfyUI's BOUNDING_BOX dictionaries, in order."""
    return [region.as_bounding_box() for region in regions]


def points(regions: Sequence[Region], suppression: float = 0.0) -> list[dict[str, int]]:
    """Each region's brightest pixel, the brightest first, without those within `suppression` pixels of a brighter."""
    require_number(suppression, "The suppression radius", 0)
    kept: list[tuple[int, int]] = []
    for region in sorted(regions, key=lambda region: -region.peak_value):
        if all(math.dist(region.peak, other) > suppression for other in kept):
            kept.append(region.peak)
    return [{"x": x, "y": y} for x, y in kept]


def crop(picture: Tensor, box: Region | BoundingBox) -> Tensor:
    """The part of pictures [..., H, W, C] inside `box`, a copy."""
    if picture.ndim < 3:
        raise InvalidInput(f"A picture must be [..., H, W, C] to be cut from, not {list(picture.shape)}.")
    require_finite(picture, "The picture")
    y, x = _slices(box, (picture.shape[-3], picture.shape[-2]))
    return picture[..., y, x, :].clone()


def crop_mask(mask: Tensor, box: Region | BoundingBox) -> Tensor:
    """The part of masks [..., H, W] inside `box`, a copy."""
    if mask.ndim < 2:
        raise InvalidInput(f"A mask must be [..., H, W] to be cut from, not {list(mask.shape)}.")
    y, x = _slices(box, (mask.shape[-2], mask.shape[-1]))
    return mask[..., y, x].clone()


def paste(picture: Tensor, patch: Tensor, box: Region | BoundingBox, mask: Tensor | None = None) -> Tensor:
    """The way back of `crop`: a copy of `picture` [H, W, C] with `patch` [h, w, C] in `box`.

    A patch (or mask) of another size than the box is resized to it. mask: [h, w], 1 where the patch shows, all of it
    without a mask.
    """
    if picture.ndim != 3 or patch.ndim != 3 or picture.shape[-1] != patch.shape[-1]:
        raise InvalidInput(
            f"A patch {list(patch.shape)} cannot be pasted into a picture {list(picture.shape)}: "
            "both must be [H, W, C] with the same channels."
        )
    require_finite(picture, "The picture")
    require_finite(patch, "The patch")
    y, x = _slices(box, (picture.shape[0], picture.shape[1]))
    size = (y.stop - y.start, x.stop - x.start)
    result = picture.to(torch.float32, copy=True)
    fitted = cut(patch, Box(0, 0, patch.shape[1], patch.shape[0]), size, "bicubic")
    if patch.shape[:2] != size:
        fitted = fitted.clamp(0, 1)
    if mask is None:
        result[y, x] = fitted
        return result
    covers = as_masks(mask)
    if len(covers) != 1:
        raise InvalidInput(f"One patch is pasted under one mask [h, w], not under {len(covers)}.")
    cover = covers[0].unsqueeze(-1)
    cover = cut(cover, Box(0, 0, cover.shape[1], cover.shape[0]), size, "bilinear")
    result[y, x] = fitted * cover + result[y, x] * (1 - cover)
    return result


def _slices(box: Region | BoundingBox, size: tuple[int, int]) -> tuple[slice, slice]:
    data = box.as_bounding_box() if isinstance(box, Region) else box
    try:
        x, y, width, height = (int(data[key]) for key in ("x", "y", "width", "height"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"A box needs whole numbers x, y, width, height; this is {shortened(box)}.") from error
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > size[1] or y + height > size[0]:
        raise InvalidInput(
            f"The box x={x} y={y} width={width} height={height} does not lie inside the picture of "
            f"{size[1]} x {size[0]} pixels."
        )
    return slice(y, y + height), slice(x, x + width)


def _fitted(
    part: Region, size: tuple[int, int], pad_x: float, pad_y: float, aspect: float | None, multiple: int
) -> tuple[int, int, int, int]:
    left, right = max(part.x - pad_x, 0), min(part.x + part.width + pad_x, size[1])
    top, bottom = max(part.y - pad_y, 0), min(part.y + part.height + pad_y, size[0])
    width, height = right - left, bottom - top
    if aspect:
        width, height = max(width, height * aspect), max(height, width / aspect)
    x, width_whole = _along_side((left + right) / 2, width, size[1], multiple)
    y, height_whole = _along_side((top + bottom) / 2, height, size[0], multiple)
    return x, y, width_whole, height_whole


def _along_side(middle: float, length: float, available: int, multiple: int) -> tuple[int, int]:
    """Start and whole length of one side: a multiple where the picture has room for one, inside the picture."""
    whole = math.ceil(length / multiple - 1e-9) * multiple
    if whole > available:
        whole = available // multiple * multiple if length <= available // multiple * multiple else available
    start = math.floor(middle - whole / 2 + 0.5)
    return min(max(start, 0), available - whole), whole


def _require_settings(
    threshold: float, max_regions: int, padding: float, unit: str, aspect: float | None, multiple: int, score: str
) -> None:
    require_number(threshold, "The threshold", 0, 1)
    require_number(max_regions, "max_regions", 1, whole=True)
    require_number(padding, "The padding", 0)
    require_one_of(unit, ("pixels", "fraction"), "padding unit")
    if aspect is not None:
        require_number(aspect, "The aspect (width / height)", LEAST_ASPECT, 1 / LEAST_ASPECT)
    require_number(multiple, "The sides' multiple", 1, whole=True)
    require_one_of(score, ("mean", "peak"), "score")
