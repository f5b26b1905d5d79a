"""The precise reading: float to the end, only cells that saw the picture, laid where the model looked."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..geometry import compose, trim
from ..results import PictureMap, View
from ..scales import TWO_PARTS, is_constant, min_max, only_part, soft_or, valid_values, z_score

LEFT_AS_IT_IS = "the mask is 1 everywhere and leaves the picture as it is."


def mask(
    picture: PictureMap, contrast: float, smoothing: float, interpolation: str
) -> tuple[Tensor | None, tuple[str, ...]]:
    """The mean mask of all labels, float32 [H, W], 0..1, or None when nothing can be enhanced; what to warn of."""
    informative, notes = informative_labels(picture)
    if not informative:
        return None, notes
    picture = picture.pick(informative)
    parts = {name: tuple(trim(view) for view in views) for name, views in picture.parts.items()}
    merged = _merge(parts, contrast, smoothing, picture.signed)
    flat = bool(is_constant(valid_values(merged)).any())
    if not flat and len(informative) > 1:
        merged = tuple(replace(view, values=view.values.mean(0, keepdim=True)) for view in min_max(merged))
        flat = bool(is_constant(valid_values(merged)).any())
    if flat:
        return None, (*notes, nothing_left(contrast, smoothing))
    return compose(min_max(merged), picture.size, interpolation)[0].clamp_(0, 1), notes


def nothing_left(contrast: float, smoothing: float) -> str:
    """The warning for a map that these settings have levelled out."""
    return f"nothing of the map is left at contrast {contrast:g} and smoothing {smoothing:g}: {LEFT_AS_IT_IS}"


def informative_labels(picture: PictureMap) -> tuple[list[int], tuple[str, ...]]:
    """The labels whose every part varies over the picture, and warnings that name the others."""
    constant = torch.zeros(len(picture.labels), dtype=torch.bool)
    for name, views in picture.parts.items():
        constant |= is_constant(valid_values(views, f"The part {name!r} of the heatmap"))
    indices = [i for i, flat in enumerate(constant.tolist()) if not flat]
    flat_texts = ", ".join(
        repr(label.text) for label, flat in zip(picture.labels, constant.tolist(), strict=True) if flat
    )
    if not flat_texts:
        return indices, ()
    outcome = "it is left out of the mean." if indices else LEFT_AS_IT_IS
    return indices, (f"the map of {flat_texts} is the same everywhere: {outcome}",)


def _merge(parts: dict[str, tuple[View, ...]], contrast: float, smoothing: float, signed: bool) -> tuple[View, ...]:
    """Contrast, smooth and merge the parts; one grid of values per label and view."""
    if set(parts) == TWO_PARTS:
        queried = _smooth(_enhance(parts["class_token"], contrast, signed), smoothing)
        content = _smooth(min_max(parts["patch"], inverted=True), smoothing)
        return soft_or(queried, content)
    return _smooth(_enhance(only_part(parts), contrast, signed), smoothing)


def _enhance(views: Sequence[View], contrast: float, signed: bool) -> tuple[View, ...]:
    return tuple(replace(view, values=torch.sigmoid(contrast * view.values)) for view in z_score(views, signed))


def _smooth(views: Sequence[View], width: float) -> tuple[View, ...]:
    """Box means on each view's grid: edge cells go on beyond it, cells that saw nothing do not count."""
    if width == 1:
        return tuple(views)
    result = []
    for view in views:
        down, across = (box_weights(cells, width) for cells in view.grid)
        valid = view.valid.to(torch.float64)
        count = down @ valid @ across.T
        total = down @ (view.values.to(torch.float64) * valid) @ across.T
        mean = (total / count.masked_fill(count == 0, 1)).to(torch.float32)
        result.append(replace(view, values=torch.where(view.valid, mean, view.values)))
    return tuple(result)


def box_weights(cells: int, width: float) -> Tensor:
    """What each of `cells` cells in a row adds to the mean over `width` around each: float64 [cells, cells].

    The first and the last cell reach to infinity (replicate padding); a cell partly covered counts by that part.
    """
    middle = torch.arange(cells, dtype=torch.float64)
    starts, ends = middle - 0.5, middle + 0.5
    starts[0], ends[-1] = -torch.inf, torch.inf
    covered = torch.minimum(ends, middle[:, None] + width / 2) - torch.maximum(starts, middle[:, None] - width / 2)
    return covered.clamp(min=0) / width
