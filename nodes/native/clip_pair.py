"""A CLIP out of two models that ComfyUI loaded, once it was seen that they belong together.

Names and widths do not tell that, so it is tried: squares in five colours against what they are called.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ...api_core.errors import UnsupportedModel
from ...api_core.models.clip import ClipModel
from ...api_core.progress import Progress, ignore_progress
from .clip_halves import WHAT_FITS, PictureHalf, TextHalf, text_halves
from .families import kind_of

COLOURS = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 0.6, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "purple": (0.5, 0.0, 0.5),
}
CAPTION = "a {} square"
GREY = 0.5
LEAST_RECOGNISED = 4
"""Of the five coloured squares. Towers that do not belong together reach it in 1 of 150 cases, if they guess."""


@dataclass(frozen=True)
class _Verdict:
    """part: the text tower that goes with a picture tower. refusal: what to say where none does."""

    part: str = ""
    refusal: str = ""


_verdicts: WeakKeyDictionary[Any, WeakKeyDictionary[Any, dict[Any, _Verdict]]] = WeakKeyDictionary()
"""By the picture tower and by the module that clones of a CLIP share; then by what both are patched with."""


@dataclass(eq=False)
class PairedModel(ClipModel):
    """The two towers as the library sees a CLIP; `module` is the picture tower. place: where ComfyUI runs it."""

    place: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def device(self) -> torch.device:
        """Its place, wherever its weights are now."""
        return self.place

    @property
    def dtype(self) -> torch.dtype:
        """What ComfyUI computes in, whatever its weights are held in."""
        return torch.float32


def pair(clip_vision: Any, clip: Any, on_progress: Progress = ignore_progress) -> ClipModel:
    """One CLIP of a CLIP_VISION and a CLIP, once five coloured squares were told apart; else UnsupportedModel."""
    vision = PictureHalf(clip_vision)
    texts = text_halves(clip)
    if not texts:
        raise UnsupportedModel(f"This CLIP has no text tower of a CLIP ({kind_of(clip)}). {WHAT_FITS}")
    pairs = {text.name: paired(vision, text) for text in texts}
    known = _verdicts.setdefault(vision.module, WeakKeyDictionary()).setdefault(clip.cond_stage_model, {})
    patches = (clip_vision.patcher.patches_uuid, clip.patcher.patches_uuid)
    if patches not in known:
        known[patches] = _judge(pairs, on_progress)
    verdict = known[patches]
    if verdict.refusal:
        raise UnsupportedModel(verdict.refusal)
    return pairs[verdict.part]


def _judge(pairs: dict[str, PairedModel], on_progress: Progress) -> _Verdict:
    """The text tower whose captions five coloured squares are told apart by."""
    vision = next(iter(pairs.values()))
    seen = vision.encode_pictures(coloured_squares(vision.side), on_progress=on_progress)
    pictures = torch.stack([encoding.feature for encoding in seen])
    if not bool(pictures.isfinite().all()):
        return _Verdict(
            refusal=f"{vision.name} has no projection into the space of texts: its file leaves it out. {WHAT_FITS}"
        )
    width = pictures.shape[1]
    refusals: dict[str, str] = {}
    for name, model in pairs.items():
        captions = model.encode_texts([CAPTION.format(colour) for colour in COLOURS])
        if captions.shape[1] != width:
            continue
        if not bool(captions.isfinite().all()):
            left_out = "its file leaves it out, as those of SD 1, SDXL and Flux do"
            refusals[name] = f"{name} has no text projection: {left_out}. {WHAT_FITS}"
            continue
        recognised = int(((pictures @ captions.T).argmax(1) == torch.arange(len(COLOURS))).sum())
        if recognised >= LEAST_RECOGNISED:
            return _Verdict(part=name)
        refusals[name] = (
            f"{vision.name} and {name} do not share a space ({recognised} of {len(COLOURS)} coloured pictures "
            f"recognised). {WHAT_FITS}"
        )
    others = f"{vision.name} and {' and '.join(pairs)} do not share a space (of {width} numbers). {WHAT_FITS}"
    return _Verdict(refusal=next(iter(refusals.values()), others))


def coloured_squares(side: int) -> Tensor:
    """[5, 3, side, side]: a square of half the side on grey, in each of the colours."""
    pictures = torch.full((len(COLOURS), 3, side, side), GREY)
    edge = side // 4
    pictures[:, :, edge : side - edge, edge : side - edge] = torch.tensor(list(COLOURS.values()))[:, :, None, None]
    return pictures


def paired(vision: PictureHalf, text: TextHalf) -> PairedModel:
    """The two as one, whether they belong together or not."""
    parts = (vision.module, vision.spec, vision.tower(), text.tower(), text.reader())
    return PairedModel(vision.name, *parts, place=vision.place)
