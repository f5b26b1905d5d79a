"""Heatmap to mask, in the reading that the heatmap carries (Yu et al., Attention Prompting on Image, ECCV 2024)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import AttentionPromptingError, InvalidInput
from ..geometry import interpolation_name
from ..morphology import box_mean
from ..morphology import grow as grow_mask
from ..results import Heatmap, PictureMap
from ..scales import whole_or_words
from . import precise, upstream

SmoothingUnit = Literal["patches", "pixels"]


@dataclass(frozen=True)
class TunedMasks:
    """One mask per picture, in order: float32 [H, W], 0..1, 1 = relevant. warnings: what could not be enhanced."""

    masks: tuple[Tensor, ...]
    warnings: tuple[str, ...] = ()


def tune(
    heatmap: Heatmap,
    *,
    contrast: float,
    smoothing: float,
    interpolation: str = "lanczos",
    words: Sequence[str] = (),
    threshold: float = 0.0,
    grow: int = 0,
    grow_shape: str = "round",
    feather: float = 0.0,
    invert: bool = False,
    smoothing_unit: str = "patches",
) -> TunedMasks:
    """Turn each picture's raw map into a mask at the picture's size.

    A map with the parts `class_token` and `patch` becomes A = sigmoid(contrast * z-score(class_token)) and
    B = (max - patch) / (max - min), each smoothed by a box, merged by A + B - A B and brought to 0..1; a map of one
    part becomes A alone. The precise reading works in float32 over the valid cells of all views, brings a single part
    to 0..1 as well, and lays the map where the model looked; the upstream reading repeats the official code's steps (no
    final scaling of a single part, floor to 8 bits before resizing, the map stretched over the whole picture). A
    signed map keeps its own zero in the middle of the sigmoid (precise).

    contrast: 0 or more. smoothing: the box's width from 1 (none) on, in cells of the grid (`patches`) or of the mask
    (`pixels`, precise only); the upstream reading takes odd whole widths. words: labels of the map (any case), of which
    the mean is taken; without words the whole text's map (of a heatmap that holds chosen words only, all of them).
    threshold: 0 keeps the mask soft, else 1 where the mask reaches it and 0 elsewhere. grow: pixels, negative shrinks.
    feather: width in pixels of a soft edge laid over all of that, 0 for none; grown by half of it first, a hard mask
    keeps its bright part lit in full. Steps happen in the order of the arguments, `invert` last. A constant map has
    nothing to enhance: its mask is 1 everywhere before `invert`, with a warning.
    """
    name = interpolation_name(interpolation)
    _require_settings(contrast, smoothing, threshold, grow, feather, smoothing_unit)
    masks, warnings = [], []
    for index, picture in enumerate(heatmap.pictures):
        where = f"Picture {index + 1}: " if len(heatmap) > 1 else ""
        try:
            chosen = _choose(picture, words)
            if chosen.reading == "upstream":
                mask, notes = upstream.mask(chosen, contrast, smoothing, smoothing_unit, name)
            else:
                cells = smoothing if smoothing_unit == "patches" else 1
                mask, notes = precise.mask(chosen, contrast, cells, name)
        except AttentionPromptingError as error:
            raise type(error)(where + str(error)) from error
        if mask is None:
            mask = torch.ones(picture.size)
        else:
            if smoothing_unit == "pixels":
                mask = box_mean(mask, smoothing).clamp_(0, 1)
            if threshold:
                mask = (mask >= threshold).to(torch.float32)
            mask = grow_mask(mask, int(grow), grow_shape)
            if feather > 1:
                mask = box_mean(mask, feather).clamp_(0, 1)
        masks.append(1 - mask if invert else mask)
        warnings += [where + note for note in notes]
    return TunedMasks(tuple(masks), tuple(dict.fromkeys(warnings)))


def _choose(picture: PictureMap, words: Sequence[str]) -> PictureMap:
    if not picture.labels or not picture.parts:
        raise InvalidInput(
            f"The map of method {picture.method!r} has {len(picture.labels)} labels and {len(picture.parts)} parts; "
            "a mask needs at least one of each."
        )
    wanted = [word for word in ([words] if isinstance(words, str) else words) if word.strip()]
    return picture.select(wanted) if wanted else picture.pick(whole_or_words(picture))


def _require_settings(
    contrast: float, smoothing: float, threshold: float, grow: int, feather: float, unit: str
) -> None:
    if not (math.isfinite(contrast) and contrast >= 0):
        raise InvalidInput(f"The contrast must be 0 or more, not {contrast}. To light up the rest instead, use invert.")
    if not (math.isfinite(smoothing) and smoothing >= 1):
        raise InvalidInput(f"The smoothing width must be 1 (none) or more, not {smoothing}.")
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"The threshold must lie between 0 (soft mask) and 1, not {threshold}.")
    if grow != int(grow):
        raise InvalidInput(f"The mask can grow by whole pixels only, not {grow}.")
    if not (math.isfinite(feather) and feather >= 0):
        raise InvalidInput(f"The soft edge must be 0 (none) or more pixels wide, not {feather}.")
    if unit not in ("patches", "pixels"):
        raise InvalidInput(f"There is no smoothing unit {unit!r}. Choose patches or pixels.")
