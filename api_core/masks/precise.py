"""The precise reading: float to the end, only cells that saw the picture, laid where the model looked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ..errors import InvalidInput
from ..geometry import compose, trim
from ..results import PictureMap, View
from ..scales import TWO_PARTS, is_constant, min_max, only_part, soft_or, valid_values, z_score

_Scaled = Callable[[Sequence[View]], tuple[View, ...]]

LEFT_AS_IT_IS = "the mask is 1 everywhere and leaves the picture as it is."


def masks(
    pictures: Sequence[PictureMap], contrast: float, smoothing: float, interpolation: str
) -> tuple[Iterable[Tensor | None], tuple[str, ...]]:
    """The mean mask of all labels of each picture, on one scale: float32 [H, W], 0..1; None where all is flat.

    Means, deviations and extremes are those of all the pictures together. Masks are made as they are taken, so that a
    clip's are not held twice. Also what to warn of.
    """
    joined = _together(pictures)
    informative, notes = informative_labels(joined)
    if not informative:
        return [None] * len(pictures), notes
    joined = joined.pick(informative)
    parts = {name: tuple(trim(view) for view in views) for name, views in joined.parts.items()}
    z_scored = partial(z_score, signed=joined.signed, pictures=len(pictures))
    merged = _merge(parts, contrast, smoothing, z_scored)
    flat = bool(is_constant(valid_values(merged)).any())
    if not flat and len(informative) > 1:
        merged = tuple(replace(view, values=view.values.mean(0, keepdim=True)) for view in min_max(merged))
        flat = bool(is_constant(valid_values(merged)).any())
    if flat:
        return [None] * len(pictures), (*notes, nothing_left(contrast, smoothing))
    scaled = iter(min_max(merged))
    own = [[next(scaled) for _ in next(iter(picture.parts.values()))] for picture in pictures]
    made = zip(own, pictures, strict=True)
    return (compose(views, picture.size, interpolation)[0].clamp_(0, 1) for views, picture in made), notes


def _together(pictures: Sequence[PictureMap]) -> PictureMap:
    """One map with the views of all the pictures, one picture after another in each part."""
    first, *others = pictures
    if not others:
        return first
    for number, other in enumerate(others, 2):
        if [label.role for label in other.labels] != [label.role for label in first.labels]:
            raise InvalidInput(f"Picture {number} has other labels than the first: they have no scale in common.")
        if other.parts.keys() != first.parts.keys() or other.signed != first.signed:
            raise InvalidInput(f"Picture {number} has a map of another kind: {other.method!r}, not {first.method!r}.")
    parts = {name: tuple(view for picture in pictures for view in picture.parts[name]) for name in first.parts}
    return replace(first, parts=parts)


def steadied(pictures: Sequence[PictureMap], radius: int) -> list[PictureMap]:
    """The frames of a clip, each the mean of those up to `radius` frames away, nearer ones counting more (a triangle,
    shortened at the ends)."""
    steady = []
    for at, picture in enumerate(pictures):
        near = range(max(at - radius, 0), min(at + radius + 1, len(pictures)))
        weights = [radius + 1 - abs(other - at) for other in near]
        parts = {}
        for name, views in picture.parts.items():
            others = [pictures[other].parts.get(name, ()) for other in near]
            shape = [(view.values.shape, view.box) for view in views]
            for other, found in zip(near, others, strict=True):
                if [(view.values.shape, view.box) for view in found] != shape:
                    raise InvalidInput(
                        f"Frame {other + 1} is of another size or kind than frame {at + 1}, so they are no clip. Make "
                        "all frames one size, or set steady to 0."
                    )
            means = []
            for index, view in enumerate(views):
                values = torch.zeros_like(view.values, dtype=torch.float64)
                for weight, found in zip(weights, others, strict=True):
                    values += weight * found[index].values
                means.append(replace(view, values=(values / sum(weights)).float()))
            parts[name] = tuple(means)
        told = zip(*(pictures[other].presence for other in near), strict=True)  # label by label
        presence = tuple(sum(w * one for w, one in zip(weights, each, strict=True)) / sum(weights) for each in told)
        steady.append(replace(picture, parts=parts, presence=presence))
    return steady


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


def _merge(
    parts: dict[str, tuple[View, ...]], contrast: float, smoothing: float, z_scored: _Scaled
) -> tuple[View, ...]:
    """Contrast, smooth and merge the parts; one grid of values per label and view."""
    if set(parts) == TWO_PARTS:
        queried = _smooth(_enhance(parts["class_token"], contrast, z_scored), smoothing)
        content = _smooth(min_max(parts["patch"], inverted=True), smoothing)
        return soft_or(queried, content)
    return _smooth(_enhance(only_part(parts), contrast, z_scored), smoothing)


def _enhance(views: Sequence[View], contrast: float, z_scored: _Scaled) -> tuple[View, ...]:
    return tuple(replace(view, values=torch.sigmoid(contrast * view.values)) for view in z_scored(views))


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
