"""What passes between the parts of the library: frozen, typed, with nothing of a model or a picture inside."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from .choices import Reading
from .errors import InvalidInput, quoted, shortened
from .settings import PAPER_DEFAULTS, MaskDefaults

Role = Literal["whole", "query word", "question word", "answer word"]


@dataclass(frozen=True)
class Box:
    """A rectangle in picture pixels: x to the right, y down, the right and bottom edges exclusive.

    It may pass the picture's edge, as padding does.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def scaled(self, across: float, down: float) -> "Box":
        """The same part of a picture that is so many times as wide and as high."""
        return Box(self.left * across, self.top * down, self.right * across, self.bottom * down)


@dataclass(frozen=True)
class Label:
    """A text that a map answers to, with where it stands in the model's tokens (None: it was encoded by itself)."""

    text: str
    role: Role
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class View:
    """One grid of scores and the rectangle of the picture it covers.

    values: float32 [M, h, w] on the CPU, one grid per label, raw. valid: bool [h, w], the cells that saw picture.
    """

    values: Tensor
    box: Box
    valid: Tensor

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.dtype != torch.float32 or self.values.device.type != "cpu":
            raise InvalidInput(
                f"A view's values must be float32 [M, h, w] on the CPU, not {self.values.dtype} "
                f"{list(self.values.shape)} on {self.values.device}."
            )
        if 0 in self.values.shape[1:]:
            raise InvalidInput(f"A view must have at least one cell, not {list(self.values.shape)}.")
        if self.valid.shape != self.values.shape[1:] or self.valid.dtype != torch.bool:
            raise InvalidInput(
                f"A view's valid cells must be bool {list(self.values.shape[1:])}, not {self.valid.dtype} "
                f"{list(self.valid.shape)}."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[1], self.values.shape[2]


@dataclass(frozen=True)
class PictureMap:
    """Raw relevance of the parts of one picture to some texts.

    size: (H, W) of the picture. labels: M of them, the whole text first. parts: name -> views, each [M, h, w]; the
    paper's CLIP map has two parts, `class_token` and `patch`, which only a mask merges. signed: whether values below
    zero speak against the text. defaults: what suits it when a mask is made of it. presence: for each label how far it
    stands out among things that are not asked for, see `presence`; none where the method does not say.
    """

    size: tuple[int, int]
    labels: tuple[Label, ...]
    parts: Mapping[str, tuple[View, ...]]
    method: str
    model: str
    layer: int | None
    reading: Reading = "precise"
    signed: bool = False
    warnings: tuple[str, ...] = ()
    defaults: MaskDefaults = PAPER_DEFAULTS
    presence: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.presence and len(self.presence) != len(self.labels):
            raise InvalidInput(
                f"There are {len(self.presence)} presences for {len(self.labels)} labels; give one each."
            )
        for name, views in self.parts.items():
            for view in views:
                if view.values.shape[0] != len(self.labels):
                    raise InvalidInput(
                        f"Part {name!r} has {view.values.shape[0]} maps for {len(self.labels)} labels; "
                        "give one map per label."
                    )

    def select(self, texts: Iterable[str]) -> "PictureMap":
        """Keep the labels whose text is among `texts` (any case), in the order asked; every occurrence of each.

        A phrase that is no label itself stands for its words: "red star" for "red" and "star".
        """
        wanted = [text.strip() for text in texts if text.strip()]
        if not wanted:
            return self
        indices: list[int] = []
        for text in wanted:
            for part in [text] if self._find(text) else text.split():
                found = self._find(part)
                if not found:
                    known = ", ".join(repr(label.text) for label in self.labels)
                    raise InvalidInput(
                        f"The heatmap has no map for {quoted(part)}. It has maps for: {shortened(known, 400)}."
                    )
                indices += [i for i in found if i not in indices]
        return self.pick(indices)

    def _find(self, text: str) -> list[int]:
        return [i for i, label in enumerate(self.labels) if label.text.casefold() == text.casefold()]

    def pick(self, indices: list[int]) -> "PictureMap":
        """Keep the labels at `indices`, in that order."""
        parts = {
            name: tuple(replace(view, values=view.values[indices]) for view in views)
            for name, views in self.parts.items()
        }
        presence = tuple(self.presence[i] for i in indices) if self.presence else ()
        return replace(self, labels=tuple(self.labels[i] for i in indices), parts=parts, presence=presence)

    def warn(self, *messages: str) -> "PictureMap":
        """The same map with further warnings."""
        return replace(self, warnings=(*self.warnings, *messages))


@dataclass(frozen=True)
class Heatmap:
    """One `PictureMap` per picture of a batch, in order."""

    pictures: tuple[PictureMap, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def select(self, texts: Iterable[str]) -> "Heatmap":
        """Keep the chosen words of every picture; without a choice everything stays, and a mask uses the whole."""
        wanted = list(texts)
        return Heatmap(tuple(picture.select(wanted) for picture in self.pictures))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every picture's warnings, each once."""
        return tuple(dict.fromkeys(message for picture in self.pictures for message in picture.warnings))


def require_finite(values: Tensor, what: str) -> None:
    """Raise InvalidInput when `values` hold NaN or infinity, with how many of them there are."""
    # In one pass and without a copy of the size of `values`: these may be pictures.
    if values.numel() and not all(math.isfinite(float(bound)) for bound in torch.aminmax(values.detach())):
        bad = values.numel() - int(torch.isfinite(values).sum())
        raise InvalidInput(
            f"{what} holds {bad} of {math.prod(values.shape)} values that are not finite numbers (NaN or infinity). "
            "Look at what made it: often a half-precision overflow, or a division by zero in an earlier step."
        )
