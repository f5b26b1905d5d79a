"""One picture and one question, by a CLIP or by a vision-language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from ..attribution import METHODS, clip_heatmap, lvlm_heatmap
from ..choices import Reading
from ..errors import InvalidInput
from ..masks import MaskSettings, tune
from ..models.catalog import EMBEDDED_CLIP
from ..models.clip import ClipModel
from ..models.lvlm.model import LvlmModel
from ..overlay import FadeStyle, Style, apply
from ..pictures import PictureSource, to_picture, to_pil
from ..presence_score import presence_of
from ..progress import Progress, ignore_progress
from ..results import Heatmap
from .model_cache import cached_model

FEW_TOKENS = 20
"""The published package's limit for the answer that a map is made of."""


@dataclass(frozen=True)
class PromptedPicture:
    """A prompted picture and how it came about.

    picture: float32 [H, W, 3 or 4], 0..1. mask: float32 [H, W], 0..1, 1 = relevant. heatmap: the raw map, of one
    picture. warnings: what a reader of the result should know. answer: what a vision-language model said, or was given,
    while its attention was read; None of a CLIP.
    """

    picture: Tensor
    mask: Tensor
    heatmap: Heatmap
    warnings: tuple[str, ...] = ()
    answer: str | None = None

    @property
    def presence(self) -> float | None:
        """How far what was asked for stands out (see `api_core.presence`); None where the map does not say."""
        (found,) = self.heatmap.pictures
        return presence_of(found) if found.presence else None

    def to_pil(self) -> Image.Image:
        """The prompted picture for PIL."""
        return to_pil(self.picture)


def prompt_picture(
    picture: PictureSource,
    query: str,
    *,
    model: ClipModel | LvlmModel | str | Path = EMBEDDED_CLIP,
    method: str | None = None,
    layer: int | Sequence[int] | None = None,
    contrast: float | None = None,
    smoothing: float | None = None,
    interpolation: str = MaskSettings.interpolation,
    words: Sequence[str] = (),
    threshold: float = MaskSettings.threshold,
    grow: int = MaskSettings.grow,
    feather: float = MaskSettings.feather,
    invert: bool = MaskSettings.invert,
    style: Style | None = None,
    strength: float = 1.0,
    reading: Reading = "precise",
    fit: str | None = None,
    neutral_text: str | None = None,
    answer: str | None = None,
    hint_words: Sequence[str] = (),
    max_new_tokens: int | None = None,
    allow_download: bool = False,
    on_progress: Progress = ignore_progress,
    mask: MaskSettings | None = None,
    system_prompt: str = "",
) -> PromptedPicture:
    """Prompt one picture with a question: what does not matter to it fades, or what `style` says.

    picture: a path, a PIL picture, an array or a tensor; it is turned as its EXIF says and made RGB or RGBA first, in
    the upstream reading too (there `clip_api` takes a file as the official code opens it). model: a loaded CLIP or
    vision-language model, or a name of the catalog or a folder of either; the last one loaded is kept until
    `release()`. words: use the maps of these words instead of the whole. None for method, layer, contrast, smoothing
    and fit is the catalog's choice for the model; for style a fade to black. mask: contrast to invert all at once,
    instead of one by one.

    Of a CLIP: fit, neutral_text (see `clip_heatmap`). Of a vision-language model: answer (None: it answers first, in at
    most max_new_tokens, 20 by default), hint_words, system_prompt, and several layers at once (see `lvlm_heatmap`).
    """
    pixels = to_picture(picture)
    loaded = model if isinstance(model, ClipModel | LvlmModel) else cached_model(model, allow_download=allow_download)
    heatmap, (said,) = read_maps(
        loaded,
        [pixels],
        query,
        method=method,
        layer=layer,
        reading=reading,
        fit=fit,
        neutral_text=neutral_text,
        answer=answer,
        hint_words=hint_words,
        max_new_tokens=max_new_tokens,
        system_prompt=system_prompt,
        words=bool(words or (mask and mask.words)),
        on_progress=on_progress,
    )
    tuned = tune(
        heatmap,
        mask,
        contrast=contrast,
        smoothing=smoothing,
        interpolation=interpolation,
        words=words,
        threshold=threshold,
        grow=grow,
        feather=feather,
        invert=invert,
    )
    drawn = apply(pixels, tuned.masks[0], FadeStyle() if style is None else style, strength)
    return PromptedPicture(drawn, tuned.masks[0], heatmap, (*heatmap.warnings, *tuned.warnings), said)


def read_maps(
    model: ClipModel | LvlmModel,
    pictures: Sequence[Tensor],
    query: str,
    *,
    method: str | None = None,
    layer: int | Sequence[int] | None = None,
    reading: Reading = "precise",
    fit: str | None = None,
    neutral_text: str | None = None,
    answer: str | None = None,
    hint_words: Sequence[str] = (),
    max_new_tokens: int | None = None,
    system_prompt: str = "",
    words: bool = False,
    on_progress: Progress = ignore_progress,
) -> tuple[Heatmap, list[str | None]]:
    """The maps of `prompt_picture` for one query about each of the pictures, and what the model said, None of a CLIP.

    words: of a CLIP, also a map for each word of the query.
    """
    if isinstance(model, LvlmModel):
        _refuse(model, "a CLIP", fit=fit, neutral_text=neutral_text)
        found = lvlm_heatmap(
            model,
            pictures,
            query,
            answers=answer,
            hint_words=list(hint_words),
            method=method,
            layers=[layer] if isinstance(layer, int) else layer,
            reading=reading,
            max_new_tokens=FEW_TOKENS if max_new_tokens is None else max_new_tokens,
            system_prompt=system_prompt,
            on_progress=on_progress,
        )
        return found.heatmap, [reply.text for reply in found.replies]
    hints = tuple(hint_words) or None
    said = {"answer": answer, "max_new_tokens": max_new_tokens, "system_prompt": system_prompt or None}
    _refuse(model, "a vision-language model", hint_words=hints, **said)
    heatmap = clip_heatmap(
        model,
        pictures,
        query,
        method=next(iter(METHODS)) if method is None else method,
        layer=_one_layer(model, layer),
        reading=reading,
        fit=fit,
        neutral_text=neutral_text,
        words=words,
        on_progress=on_progress,
    )
    return heatmap, [None] * len(pictures)


def _refuse(model: ClipModel | LvlmModel, other: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise InvalidInput(
                f"{name} is for {other}, and {model.name} is none. Leave it out, or choose another model."
            )


def _one_layer(model: ClipModel, layer: int | Sequence[int] | None) -> int | None:
    if layer is None or isinstance(layer, int):
        return layer
    if len(layer) != 1:
        raise InvalidInput(f"{model.name} is read at one layer, not at {list(layer)}.")
    return layer[0]
