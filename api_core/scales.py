"""Bringing raw maps to one scale, and two parts of a map together.

Statistics run over the valid cells of all views of a picture, one label at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import torch
from torch import Tensor

from .errors import InvalidInput, require_one_of
from .results import PictureMap, View, require_finite

Part = TypeVar("Part")
Scale = Literal["z-score", "rank", "min-max"]
SCALES: tuple[Scale, ...] = ("z-score", "rank", "min-max")
# A map whose values differ by less than a few float32 roundings has no information to enhance, only noise.
_NOISE = 1e-6


def valid_values(views: Sequence[View], what: str = "The heatmap") -> Tensor:
    """All valid cells of all views, float64 [M, N]. Raises InvalidInput for NaN, infinity, or no valid cell."""
    if not views:
        raise InvalidInput(f"{what} has no view. A map needs at least one grid.")
    values = torch.cat([view.values[:, view.valid] for view in views], 1).to(torch.float64)
    if not values.numel():
        raise InvalidInput(f"{what} has no valid cell in {len(views)} views, or no label; there is nothing to scale.")
    require_finite(values, what)
    return values


def is_constant(values: Tensor) -> Tensor:
    """Which rows of [M, N] hold one value only (within a few roundings): bool [M]."""
    low, high = values.aminmax(dim=1)
    return high - low <= _NOISE * torch.maximum(low.abs(), high.abs())


def z_score(views: Sequence[View], signed: bool = False, pictures: int = 1) -> tuple[View, ...]:
    """(v - mean) / std with the unbiased std; a signed map keeps its own zero and is divided by its root mean square.

    A constant map becomes zero everywhere; so do invalid cells. pictures: how many the views are of; equal ones are
    scaled as each would be.
    """
    values = valid_values(views)
    if signed:
        center, spread = torch.zeros(len(values), dtype=torch.float64), values.square().mean(1).sqrt()
    else:
        center = values.mean(1)
        spread = values.std(1, correction=pictures) if values.shape[1] > pictures else torch.zeros_like(center)
    return affine(views, center, spread.masked_fill(is_constant(values), torch.inf))


def min_max(views: Sequence[View], inverted: bool = False) -> tuple[View, ...]:
    """(v - min) / (max - min), or (max - v) / (max - min); zero everywhere for a constant map and in invalid cells."""
    values = valid_values(views)
    low, high = values.aminmax(dim=1)
    spread = (high - low).masked_fill(is_constant(values), torch.inf)
    return affine(views, high, -spread) if inverted else affine(views, low, spread)


def rank(views: Sequence[View]) -> tuple[View, ...]:
    """Each valid cell's rank among all, 0 (least) to 1 (most), equal values sharing the mean of their ranks."""
    values = valid_values(views)
    ordered = values.sort(dim=1).values
    first = torch.searchsorted(ordered, values)
    last = torch.searchsorted(ordered, values, right=True)
    ranks = ((first + last - 1) / 2 / max(values.shape[1] - 1, 1)).to(torch.float32)
    result, start = [], 0
    for view in views:
        count = int(view.valid.sum())
        filled = torch.zeros_like(view.values)
        filled[:, view.valid] = ranks[:, start : start + count]
        result.append(replace(view, values=filled))
        start += count
    return tuple(result)


def rescale(views: Sequence[View], scale: str, signed: bool = False) -> tuple[View, ...]:
    """Bring the views of one picture to `scale`: "z-score", "rank" or "min-max"."""
    require_one_of(scale, SCALES, "scale")
    if scale == "z-score":
        return z_score(views, signed)
    return rank(views) if scale == "rank" else min_max(views)


def affine(views: Sequence[View], center: Tensor, spread: Tensor) -> tuple[View, ...]:
    """(v - center) / spread per label (both [M]), computed in float64; invalid cells become zero."""
    result = []
    for view in views:
        scaled = ((view.values.to(torch.float64) - center[:, None, None]) / spread[:, None, None]).to(torch.float32)
        result.append(replace(view, values=torch.where(view.valid, scaled, 0.0)))
    return tuple(result)


TWO_PARTS = frozenset({"class_token", "patch"})
"""The parts of the paper's CLIP map."""


def soft_or(queried: Sequence[View], content: Sequence[View]) -> tuple[View, ...]:
    """a + b - a b cell by cell: what either of the two parts of the paper's CLIP map, both 0..1, holds to matter."""
    if [view.values.shape for view in queried] != [view.values.shape for view in content]:
        raise InvalidInput("The parts class_token and patch of a heatmap have different grids and cannot be merged.")
    return tuple(
        replace(a, values=a.values + b.values - a.values * b.values) for a, b in zip(queried, content, strict=True)
    )


def only_part(parts: Mapping[str, Part]) -> Part:
    """The one part of a map that has no more; InvalidInput for parts that nothing says how to merge."""
    if len(parts) != 1:
        raise InvalidInput(
            f"Heatmaps of one part, or of class_token and patch, can be used here, not of {', '.join(sorted(parts))}."
        )
    return next(iter(parts.values()))


def whole_or_words(picture: PictureMap) -> list[int]:
    """The labels a map speaks for when no words are chosen: the whole text, or all of them if it holds only words."""
    if not picture.labels:
        raise InvalidInput(f"The map of method {picture.method!r} has no label; it needs at least one.")
    return [0] if picture.labels[0].role == "whole" else list(range(len(picture.labels)))
