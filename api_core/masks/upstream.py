"""The upstream reading: the steps of the official code in their order, with their roundings.

One grid per picture, whatever part of it the model saw, is stretched over the whole picture; the mask is cut to 8 bits
before Pillow resizes it. What the official code leaves undefined, a constant map, is mended as in the precise reading.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..autograd import without_autocast
from ..errors import InvalidInput
from ..results import PictureMap, require_finite
from ..scales import TWO_PARTS, only_part
from .precise import informative_labels, nothing_left


def mask(
    picture: PictureMap, contrast: float, smoothing: float, smoothing_unit: str, interpolation: str
) -> tuple[Tensor | None, tuple[str, ...]]:
    """The mean mask of all labels, float32 [H, W] in steps of 1/255, or None as in `precise.masks`; what to warn of."""
    if smoothing_unit != "patches" or smoothing % 2 != 1:
        raise InvalidInput(
            f"The upstream reading smooths by an odd whole number of patches, not by {smoothing:g} {smoothing_unit}. "
            "Use 1, 3, 5 ..., or make the heatmap with the precise reading."
        )
    parts = {name: _grid(picture, name) for name in picture.parts}
    informative, notes = informative_labels(picture)
    if not informative:
        return None, notes
    parts = {name: values[informative] for name, values in parts.items()}
    merged = _merge(parts, contrast, int(smoothing)).mean(0)
    if not bool(torch.isfinite(merged).all()):
        return None, (*notes, nothing_left(contrast, smoothing))
    levels = Image.fromarray(merged.mul(255).to(torch.uint8).numpy())
    height, width = picture.size
    resized = levels.resize((width, height), Image.Resampling[interpolation.upper()])
    return torch.from_numpy(np.array(resized)).to(torch.float32).div_(255), notes


def _merge(parts: dict[str, Tensor], contrast: float, width: int) -> Tensor:
    if set(parts) == TWO_PARTS:
        queried = _box_filter(_enhance(parts["class_token"], contrast), width)
        content = _box_filter(_min_max(parts["patch"], inverted=True), width)
        return _min_max(queried + content - queried * content)
    return _box_filter(_enhance(only_part(parts), contrast), width)


def _grid(picture: PictureMap, name: str) -> Tensor:
    views = picture.parts[name]
    if len(views) != 1:
        raise InvalidInput(
            f"The upstream reading knows one grid per picture; part {name!r} has {len(views)} views. "
            "Make the heatmap with the precise reading, or with a fit that looks once."
        )
    require_finite(views[0].values, f"The part {name!r} of the heatmap")
    return views[0].values


def _min_max(values: Tensor, inverted: bool = False) -> Tensor:
    low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
    return (high - values if inverted else values - low) / (high - low)


def _enhance(values: Tensor, contrast: float) -> Tensor:
    scaled = _min_max(values)
    mean, spread = scaled.mean((1, 2), keepdim=True), scaled.std((1, 2), keepdim=True)
    return torch.sigmoid(contrast * ((scaled - mean) / spread))


def _box_filter(values: Tensor, width: int) -> Tensor:
    kernel = torch.full((1, 1, width, width), 1 / width**2)
    padded = torch.nn.functional.pad(values.unsqueeze(1), (width // 2,) * 4, mode="replicate")
    with without_autocast():
        return torch.nn.functional.conv2d(padded, kernel).squeeze(1)
