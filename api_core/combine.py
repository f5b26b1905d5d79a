"""Several heatmaps of the same pictures made into one: what they share, what any of them says, what sets one apart."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .errors import InvalidInput, quoted, require_one_of
from .geometry import compose, require_box
from .results import Box, Heatmap, Label, PictureMap, View
from .scales import TWO_PARTS, is_constant, min_max, only_part, rescale, soft_or, valid_values, whole_or_words, z_score
from .settings import PAPER_DEFAULTS

_JOINS = {"mean": " + ", "max": " | ", "product": " & ", "contrast": " - "}
COMBINE_MODES = tuple(_JOINS)


def combine(heatmaps: Sequence[Heatmap], mode: str = "mean", scale: str = "z-score") -> Heatmap:
    """Combine heatmaps picture by picture into a heatmap of one label and one part, `combined`.

    Each map is first brought to `scale` over its valid cells ("z-score", "rank" or "min-max"), then to the finer grid.
    mean; max; product (a cell must matter to all: z-scores go through a sigmoid first, as two negatives would multiply
    to a positive); contrast: the first minus the mean of the others, a signed map. Of each heatmap the whole text's map
    is taken, or the mean of the words where it holds chosen words only. A CLIP map of two parts is first merged as in
    the paper at contrast 1, without smoothing: sigmoid(z-score(class_token)) soft-OR inverted min-max of patch.

    Heatmaps must hold the same number of pictures (or one, which serves all) of the same sizes. A constant map says
    nothing and is left out, with a warning.
    """
    require_one_of(mode, COMBINE_MODES, "mode")
    least = 2 if mode == "contrast" else 1
    if len(heatmaps) < least:
        raise InvalidInput(f"The mode {quoted(mode)} needs at least {least} heatmaps, not {len(heatmaps)}.")
    counts = [len(heatmap) for heatmap in heatmaps]
    count = max(counts)
    if any(length not in (1, count) for length in counts):
        raise InvalidInput(
            f"Heatmaps of {', '.join(map(str, counts))} pictures do not go together. "
            "Give each the same number of pictures, or one picture that serves all."
        )
    return Heatmap(
        tuple(
            _combine_pictures([h.pictures[i if len(h) > 1 else 0] for h in heatmaps], mode, scale, i)
            for i in range(count)
        )
    )


def _combine_pictures(maps: Sequence[PictureMap], mode: str, scale: str, index: int) -> PictureMap:
    sizes = {picture.size for picture in maps}
    if len(sizes) != 1:
        shown = ", ".join(f"{width} x {height}" for height, width in (picture.size for picture in maps))
        raise InvalidInput(f"The heatmaps of picture {index + 1} belong to pictures of different sizes: {shown}.")
    merged = [_one_part(picture) for picture in maps]
    warnings = [message for picture in maps for message in picture.warnings]
    constant = [bool(is_constant(valid_values(views)).all()) for views in merged]
    for number, flat in enumerate(constant, 1):
        if flat:
            warnings.append(f"Heatmap {number} of picture {index + 1} is the same everywhere and says nothing.")
    scaled = [
        _mean_of_labels(rescale(views, scale, picture.signed)) for picture, views in zip(maps, merged, strict=True)
    ]
    views = _on_one_grid(scaled, maps[0].size)
    signed = mode == "contrast" or (mode != "product" and all(picture.signed for picture in maps))
    grids = [_join([own[i].values for own in views], constant, mode, scale) for i in range(len(views[0]))]
    first = maps[0]
    text = _JOINS[mode].join(" ".join(picture.labels[i].text for i in whole_or_words(picture)) for picture in maps)
    return PictureMap(
        size=first.size,
        labels=(Label(text, "whole"),),
        parts={"combined": tuple(replace(view, values=grid) for view, grid in zip(views[0], grids, strict=True))},
        method=f"{mode} of {', '.join(dict.fromkeys(picture.method for picture in maps))}",
        model=", ".join(dict.fromkeys(picture.model for picture in maps)),
        layer=first.layer if len({picture.layer for picture in maps}) == 1 else None,
        reading="upstream" if all(picture.reading == "upstream" for picture in maps) else "precise",
        signed=signed,
        warnings=tuple(dict.fromkeys(warnings)),
        # What suits maps of one model and kind; the paper's where there are several.
        defaults=first.defaults if len({(one.model, one.defaults) for one in maps}) == 1 else PAPER_DEFAULTS,
    )


def _one_part(picture: PictureMap) -> tuple[View, ...]:
    picture = picture.pick(whole_or_words(picture))
    if set(picture.parts) == TWO_PARTS:
        scored = z_score(picture.parts["class_token"], picture.signed)
        queried = [replace(view, values=torch.sigmoid(view.values)) for view in scored]
        return soft_or(queried, min_max(picture.parts["patch"], inverted=True))
    return only_part(picture.parts)


def _mean_of_labels(views: tuple[View, ...]) -> tuple[View, ...]:
    return tuple(replace(view, values=view.values.mean(0, keepdim=True)) for view in views)


def _on_one_grid(maps: Sequence[tuple[View, ...]], size: tuple[int, int]) -> list[tuple[View, ...]]:
    """Maps whose views lie alike stay as they are; others are drawn on one grid as fine as the finest of them."""
    if all(_alike(own, maps[0]) for own in maps):
        return list(maps)
    views = [view for own in maps for view in own]
    for view in views:
        require_box(view.box)
    rows = min(size[0], math.ceil(max(view.grid[0] / view.box.height for view in views) * size[0] - 1e-6))
    columns = min(size[1], math.ceil(max(view.grid[1] / view.box.width for view in views) * size[1] - 1e-6))
    whole, seen = Box(0, 0, size[1], size[0]), torch.ones(rows, columns, dtype=torch.bool)
    scale_y, scale_x = rows / size[0], columns / size[1]
    drawn: list[tuple[View, ...]] = []
    for own in maps:
        scaled = [replace(view, box=view.box.scaled(scale_x, scale_y)) for view in own]
        drawn.append((View(compose(scaled, (rows, columns), "bilinear"), whole, seen),))
    return drawn


def _alike(own: tuple[View, ...], other: tuple[View, ...]) -> bool:
    return len(own) == len(other) and all(
        a.box == b.box and a.grid == b.grid and torch.equal(a.valid, b.valid) for a, b in zip(own, other, strict=True)
    )


def _join(grids: list[Tensor], constant: list[bool], mode: str, scale: str) -> Tensor:
    if mode == "contrast":
        others = [grid for grid, flat in zip(grids[1:], constant[1:], strict=True) if not flat]
        return grids[0] - (torch.stack(others).mean(0) if others else 0.0)
    told = [grid for grid, flat in zip(grids, constant, strict=True) if not flat] or grids[:1]
    stacked = torch.stack(told)
    if mode == "mean":
        return stacked.mean(0)
    if mode == "max":
        return stacked.amax(0)
    return (torch.sigmoid(stacked) if scale == "z-score" else stacked).prod(0)
