"""Heatmap to mask, in the reading that the heatmap carries (Yu et al., Attention Prompting on Image, ECCV 2024)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import AttentionPromptingError, InvalidInput
from ..morphology import box_mean
from ..morphology import grow as grow_mask
from ..resample import interpolation_name
from ..results import Heatmap, PictureMap
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
) -> TunedMasks:
    """Turn each picture's raw map into a mask at the picture's size.

    A map with the parts `class_token` and `patch` becomes A = sigmoid(contrast * z-score(class_token)) and
    B = (max - patch) / (max - min), each smoothed by a box, merged by A + B - A B and brought to 0..1; a map of one
    part becomes A alone. The precise reading works in float32 over the valid cells of all views, brings a single part
    to 0..1 as well, and lays the map where the model looked; the upstream reading repeats the official code's steps (no
    final scaling of a single part, floor to 8 bits before resizing, the map stretched over the whole picture). A
    signed map keeps its own zero in the middle of the sigmoid (precise).

    The settings are explained at `MaskSettings`; they come one by one, or all at once. A constant map has nothing to
    enhance: its mask is 1 everywhere before `invert`, with a warning.
    """
    single = MaskSettings(
        contrast, smoothing, interpolation, words or (), threshold, grow, invert, smoothing_unit, feather, grow_shape
    )
    if settings is not None and single != MaskSettings():
        raise InvalidInput("Masks are tuned by `settings`, or by single ones, not by both. Leave one of them away.")
    settings = settings or single
    name = interpolation_name(settings.interpolation)
    masks, warnings = [], []
    for index, picture in enumerate(heatmap.pictures):
        where = f"Picture {index + 1}: " if len(heatmap) > 1 else ""
        own = settings.with_defaults(picture.defaults)
        try:
            mask, notes = _mask(_choose(picture, own.words), own, name)
        except AttentionPromptingError as error:
            raise type(error)(where + str(error)) from error
        mask = torch.ones(picture.size) if mask is None else _shaped(mask, own)
        masks.append(1 - mask if own.invert else mask)
        warnings += [where + note for note in notes]
    return TunedMasks(tuple(masks), tuple(dict.fromkeys(warnings)))


def _mask(picture: PictureMap, settings: MaskSettings, interpolation: str) -> tuple[Tensor | None, tuple[str, ...]]:
    """The mask as the picture's reading makes it, None where nothing can be enhanced; what to warn of."""
    contrast, smoothing, unit = settings.contrast, settings.smoothing, settings.smoothing_unit
    assert contrast is not None
    assert smoothing is not None
    if picture.reading == "upstream":
        return upstream.mask(picture, contrast, smoothing, unit, interpolation)
    return precise.mask(picture, contrast, smoothing if unit == "patches" else 1, interpolation)


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
