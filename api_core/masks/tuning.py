"""Heatmap to mask, in the reading that the heatmap carries (Yu et al., Attention Prompting on Image, ECCV 2024)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..choices import BATCH_SCALES
from ..errors import AttentionPromptingError, InvalidInput
from ..morphology import box_mean
from ..morphology import grow as grow_mask
from ..resample import interpolation_name
from ..results import Heatmap, PictureMap, require_presence
from ..scales import whole_or_words
from . import precise, upstream
from .settings import MaskSettings


@dataclass(frozen=True)
class TunedMasks:
    """One mask per picture, in order: float32 [H, W], 0..1, 1 = relevant. warnings: what could not be enhanced."""

    masks: tuple[Tensor, ...]
    warnings: tuple[str, ...] = ()


def tune(
    heatmap: Heatmap,
    settings: MaskSettings | None = None,
    *,
    contrast: float | None = None,
    smoothing: float | None = None,
    interpolation: str = MaskSettings.interpolation,
    words: Sequence[str] = (),
    threshold: float = MaskSettings.threshold,
    grow: int = MaskSettings.grow,
    grow_shape: str = MaskSettings.grow_shape,
    feather: float = MaskSettings.feather,
    invert: bool = MaskSettings.invert,
    smoothing_unit: str = MaskSettings.smoothing_unit,
    scale: str = MaskSettings.scale,
    steady: int = MaskSettings.steady,
    least_presence: float = MaskSettings.least_presence,
) -> TunedMasks:
    """Turn each picture's raw map into a mask at the picture's size.

    A map with the parts `class_token` and `patch` becomes A = sigmoid(contrast * z-score(class_token)) and
    B = (max - patch) / (max - min), each smoothed by a box, merged by A + B - A B and brought to 0..1; a map of one
    part becomes A alone. The precise reading works in float32 over the valid cells of all views, brings a single part
    to 0..1 as well, and lays the map where the model looked; the upstream reading repeats the official code's steps (no
    final scaling of a single part, floor to 8 bits before resizing, the map stretched over the whole picture). A
    signed map keeps its own zero in the middle of the sigmoid (precise).

    The settings are explained at `MaskSettings`; they come one by one, or all at once. A constant map has nothing to
    enhance: its mask is 1 everywhere before `invert`, with a warning; so is that of a picture below `least_presence`.
    """
    single = MaskSettings(
        contrast=contrast,
        smoothing=smoothing,
        interpolation=interpolation,
        words=words or (),
        threshold=threshold,
        grow=grow,
        invert=invert,
        smoothing_unit=smoothing_unit,
        feather=feather,
        grow_shape=grow_shape,
        scale=scale,
        steady=steady,
        least_presence=least_presence,
    )
    if settings is not None and single != MaskSettings():
        raise InvalidInput("Masks are tuned by `settings`, or by single ones, not by both. Leave one of them away.")
    settings = settings or single
    pictures = list(heatmap.pictures)
    several = len(pictures) > 1
    sizes = {picture.size for picture in pictures}
    shared = torch.empty(len(pictures), *sizes.pop()) if len(sizes) == 1 else None
    finished: list[Tensor] = []
    warnings: list[str] = []
    for first, group in _groups(pictures, settings):
        where = f"Picture {first + 1}: " if several and len(group) == 1 else ""
        own = settings.with_defaults(group[0].defaults)
        try:
            found, notes = _masks([_choose(picture, own.words) for picture in group], own)
        except AttentionPromptingError as error:
            raise type(error)(where + str(error)) from error
        warnings += [where + note for note in notes]
        for number, (picture, mask) in enumerate(zip(group, found, strict=True), first + 1):
            absent = _absent(picture, own, number)
            warnings += [f"Picture {number}: {note}" if several else note for note in absent]
            mask = None if absent else mask
            mask = torch.ones(picture.size) if mask is None else _shaped(mask, own)
            mask = 1 - mask if own.invert else mask
            # In one tensor where they are of one size: a clip's masks are then a batch without being held twice.
            finished.append(mask if shared is None else shared[len(finished)].copy_(mask))
    return TunedMasks(tuple(finished), tuple(dict.fromkeys(warnings)))


def _groups(pictures: list[PictureMap], settings: MaskSettings) -> Iterator[tuple[int, list[PictureMap]]]:
    """The pictures that are measured together, with the place of the first."""
    clip = settings.scale == BATCH_SCALES[1] or settings.steady > 0
    if not clip or len(pictures) < 2:
        yield from ((index, [picture]) for index, picture in enumerate(pictures))
        return
    if any(picture.reading == "upstream" for picture in pictures):
        raise InvalidInput("The upstream reading knows no clips. Leave scale and steady alone, or read precisely.")
    if settings.steady:
        pictures = precise.steadied(pictures, settings.steady)
    if settings.scale == BATCH_SCALES[1]:
        yield 0, pictures
    else:
        yield from ((index, [picture]) for index, picture in enumerate(pictures))


def _absent(picture: PictureMap, settings: MaskSettings, number: int) -> tuple[str, ...]:
    """What to warn of where a picture most likely does not hold what was asked for."""
    if not settings.least_presence:
        return ()
    found = require_presence(picture, f"picture {number}")
    if found >= settings.least_presence:
        return ()
    asked = " ".join(picture.labels[index].text for index in whole_or_words(picture))
    asked = asked if len(asked) <= 60 else asked[:57] + "..."
    return (
        f"{asked!r} is most likely not there (presence {found:.1f}, below {settings.least_presence:g}): "
        f"{precise.LEFT_AS_IT_IS}",
    )


def _masks(pictures: list[PictureMap], settings: MaskSettings) -> tuple[Iterable[Tensor | None], tuple[str, ...]]:
    """The masks as the pictures' reading makes them, None where nothing can be enhanced; what to warn of."""
    contrast, smoothing, unit = settings.contrast, settings.smoothing, settings.smoothing_unit
    interpolation = interpolation_name(settings.interpolation)
    assert contrast is not None
    assert smoothing is not None
    if pictures[0].reading == "upstream":
        mask, notes = upstream.mask(pictures[0], contrast, smoothing, unit, interpolation)
        return [mask], notes
    return precise.masks(pictures, contrast, smoothing if unit == "patches" else 1, interpolation)


def _shaped(mask: Tensor, settings: MaskSettings) -> Tensor:
    """What happens to a mask at the picture's size."""
    if settings.smoothing_unit == "pixels" and settings.smoothing:
        mask = box_mean(mask, settings.smoothing).clamp_(0, 1)
    if settings.threshold:
        mask = (mask >= settings.threshold).to(torch.float32)
    mask = grow_mask(mask, int(settings.grow), settings.grow_shape)
    if settings.feather > 1:
        mask = box_mean(mask, settings.feather).clamp_(0, 1)
    return mask


def _choose(picture: PictureMap, words: Sequence[str]) -> PictureMap:
    if not picture.labels or not picture.parts:
        raise InvalidInput(
            f"The map of method {picture.method!r} has {len(picture.labels)} labels and {len(picture.parts)} parts; "
            "a mask needs at least one of each."
        )
    wanted = [word for word in ([words] if isinstance(words, str) else words) if word.strip()]
    return picture.select(wanted) if wanted else picture.pick(whole_or_words(picture))
