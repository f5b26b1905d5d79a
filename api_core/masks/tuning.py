"""Heatmap to mask, in the reading that the heatmap carries (Yu et al., Attention Prompting on Image, ECCV 2024)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..choices import BATCH_SCALES
from ..errors import AttentionPromptingError, InvalidInput
from ..morphology import box_mean
from ..morphology import grow as grow_mask
from ..presence_score import presence_of
from ..resample import interpolation_name
from ..results import Heatmap, PictureMap
from ..scales import whole_or_words
from . import precise, upstream
from .precise import LEFT_AS_IT_IS
from .settings import MaskSettings


@dataclass(frozen=True)
class TunedMasks:
    """One mask per picture, in order: float32 [H, W], 0..1, 1 = relevant. warnings: what could not be enhanced.

    batch: the same in one tensor [B, H, W], not copied; None where they are of several sizes.
    """

    masks: tuple[Tensor, ...]
    warnings: tuple[str, ...] = ()
    batch: Tensor | None = None


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
    enhance: its mask is 1 everywhere before `invert`, with a warning. So is, after `invert` too, the mask of a map with
    less than the least presence; a map that does not say how present a thing is, raises InvalidInput then.
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
    sizes = {picture.size for picture in heatmap.pictures}
    # In one tensor where they are of one size: a clip's masks are then a batch without being held twice.
    batch = torch.empty(len(heatmap), *sizes.pop()) if len(sizes) == 1 else None
    finished: list[Tensor] = []
    warnings: dict[str, None] = {}
    for mask in tune_each(heatmap, settings, warnings.setdefault):
        finished.append(mask if batch is None else batch[len(finished)].copy_(mask))
    return TunedMasks(tuple(finished), tuple(warnings), batch)


def tune_each(heatmap: Heatmap, settings: MaskSettings, warn: Callable[[str], object]) -> Iterator[Tensor]:
    """The masks of `tune`, each made when it is taken, so that those of a long clip need not be held together.

    warn: called with what could not be enhanced, before the masks that it is about.
    """
    several = len(heatmap) > 1
    chosen = []
    for index, picture in enumerate(heatmap.pictures):
        with _naming(index, several):
            chosen.append(_choose(picture, settings.words))
    if several and settings.is_of_a_clip:
        _require_clip(heatmap.pictures)
    for first, group in _groups(chosen, settings):
        own = settings.with_defaults(group[0].defaults)
        alone = several and len(group) == 1
        with _naming(first, alone):
            found, notes = _masks(group, own)
        for note in notes:
            warn((_place(first) if alone else "") + note)
        for index, (picture, mask) in enumerate(zip(group, found, strict=True), first):
            with _naming(index, several):
                absence = _absence(picture, own.least_presence)
            if absence:
                warn((_place(index) if several else "") + absence)
            mask = torch.ones(picture.size) if mask is None or absence else _shaped(mask, own)
            yield 1 - mask if own.invert and not absence else mask


def _place(index: int) -> str:
    return f"Picture {index + 1}: "


@contextmanager
def _naming(index: int, several: bool) -> Iterator[None]:
    """Say of which picture an error is, where there are several."""
    try:
        yield
    except AttentionPromptingError as error:
        raise type(error)((_place(index) if several else "") + str(error)) from error


def _require_clip(pictures: Sequence[PictureMap]) -> None:
    """Raise InvalidInput for maps that cannot be measured together."""
    asked = _asked(pictures[0])
    for number, picture in enumerate(pictures, 1):
        if picture.reading == "upstream":
            raise InvalidInput("The upstream reading knows no clips. Leave scale and steady alone, or read precisely.")
        if _asked(picture) != asked:
            raise InvalidInput(f"Picture {number} has other labels than the first: they have no scale in common.")


def _asked(picture: PictureMap) -> list[str]:
    """What a map was asked for: of a vision-language model, whose answers may differ, the question."""
    question = [label.text for label in picture.labels if label.role == "question word"]
    return question or [label.text for label in picture.labels]


def _groups(pictures: list[PictureMap], settings: MaskSettings) -> Iterator[tuple[int, list[PictureMap]]]:
    """The pictures that are measured together, with the place of the first."""
    if settings.steady and len(pictures) > 1:
        pictures = precise.steadied(pictures, settings.steady)
    if pictures and settings.scale == BATCH_SCALES[1]:
        yield 0, pictures
    else:
        yield from ((index, [picture]) for index, picture in enumerate(pictures))


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


def _absence(picture: PictureMap, least: float) -> str:
    """What is said of a map with less presence than `least`; nothing of others."""
    if not least or (found := presence_of(picture)) >= least:
        return ""
    texts = ", ".join(repr(label.text) for label in picture.labels)
    return (
        f"the presence of {texts}, {found:.2f}, is less than {least:g}, so it is taken not to be there: {LEFT_AS_IT_IS}"
    )


def _choose(picture: PictureMap, words: Sequence[str]) -> PictureMap:
    if not picture.labels or not picture.parts:
        raise InvalidInput(
            f"The map of method {picture.method!r} has {len(picture.labels)} labels and {len(picture.parts)} parts; "
            "a mask needs at least one of each."
        )
    wanted = [word for word in ([words] if isinstance(words, str) else words) if word.strip()]
    return picture.select(wanted) if wanted else picture.pick(whole_or_words(picture))
