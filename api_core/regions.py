"""Where a mask is bright: connected regions as boxes and points, and the crop of a box."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from .errors import InvalidInput
from .pictures import as_masks


@dataclass(frozen=True)
class Region:
    """A connected bright part of a mask. x, y, width, height: its box in whole pixels after padding.

    peak: (x, y) of its brightest pixel. mass: the sum of its values.
    """

    x: int
    y: int
    width: int
    height: int
    peak: tuple[int, int]
    peak_value: float
    mass: float
    pixels: int


def find_regions(mask: Tensor, *, threshold: float = 0.5, max_regions: int = 8, padding: int = 0) -> tuple[Region, ...]:
    """The 8-connected regions of `mask` [H, W] at or above `threshold` (and above 0), those of most mass first.

    padding: pixels added on each side; the box stays inside the picture. No region above the threshold gives an empty
    tuple.
    """
    masks = as_masks(mask)
    if len(masks) != 1:
        raise InvalidInput(f"Regions are found in one mask [H, W] at a time, not in {len(masks)}. Loop over the batch.")
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"The threshold must lie between 0 and 1, not {threshold}.")
    if max_regions < 1:
        raise InvalidInput(f"max_regions must be 1 or more, not {max_regions}.")
    if padding < 0:
        raise InvalidInput(f"The padding must be 0 or more, not {padding}.")
    values = masks[0].numpy()
    parts = _components(values, (values >= threshold) & (values > 0), max_regions)
    return tuple(_padded(part, padding, *values.shape) for part in parts)


def _padded(region: Region, padding: int, rows: int, columns: int) -> Region:
    x, y = max(region.x - padding, 0), max(region.y - padding, 0)
    right = min(region.x + region.width + padding, columns)
    bottom = min(region.y + region.height + padding, rows)
    return replace(region, x=x, y=y, width=right - x, height=bottom - y)


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
                peak=(columns.start + int(x), rows.start + int(y)),
                peak_value=float(values[rows, columns][y, x]),
                mass=float(mass[index]),
                pixels=int(own.sum()),
            )
        )
    return parts


def bounding_boxes(regions: Sequence[Region]) -> list[dict[str, int | float | str]]:
    """All regions as ComfyUI's BOUNDING_BOX dictionaries, in order; the score is the mean of a region's pixels."""
    return [
        {"x": r.x, "y": r.y, "width": r.width, "height": r.height, "label": "", "score": r.mass / r.pixels}
        for r in regions
    ]


def points(regions: Sequence[Region]) -> list[dict[str, int]]:
    """Each region's brightest pixel, the brightest first."""
    brightest = sorted(regions, key=lambda region: -region.peak_value)
    return [{"x": x, "y": y} for x, y in (region.peak for region in brightest)]


def crop(picture: Tensor, box: Region) -> Tensor:
    """The part of pictures [..., H, W, C] inside `box`, a copy."""
    y, x = _slices(box, (picture.shape[-3], picture.shape[-2]))
    return picture[..., y, x, :].clone()


def crop_mask(mask: Tensor, box: Region) -> Tensor:
    """The part of masks [..., H, W] inside `box`, a copy."""
    y, x = _slices(box, (mask.shape[-2], mask.shape[-1]))
    return mask[..., y, x].clone()


def _slices(box: Region, size: tuple[int, int]) -> tuple[slice, slice]:
    if box.x + box.width > size[1] or box.y + box.height > size[0]:
        raise InvalidInput(
            f"The box x={box.x} y={box.y} width={box.width} height={box.height} does not lie inside the picture of "
            f"{size[1]} x {size[0]} pixels."
        )
    return slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
