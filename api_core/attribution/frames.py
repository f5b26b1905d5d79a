"""The heatmaps of a clip of which only some frames are read: between two that are, the raw maps are linear in time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from ..errors import InvalidInput
from ..results import PictureMap
from ..settings import EVERY

T = TypeVar("T")
Sizes = tuple[tuple[int, int], ...]
FOLLOWS_UP_TO = 2
"""Reading fewer frames than every second one loses what crosses the picture: see docs/results-clips.md."""


@dataclass(frozen=True)
class Frames:
    """Which frames of a clip are read. count: of all. read: the numbers of those, ascending, the last among them."""

    count: int
    read: tuple[int, ...]
    every: int = 1

    @classmethod
    def of(cls, sizes: Sequence[Sizes], questions: Sequence[object], every: int) -> "Frames":
        """Every n-th of the frames that stand one after another with one question, and the last of them.

        sizes, questions: of each frame; one with several pictures has several sizes (H, W). Raises InvalidInput where
        frames between which a map would be drawn differ in size.
        """
        EVERY.check(every, "clips")
        if every == 1:
            return cls(len(sizes), tuple(range(len(sizes))))
        read: list[int] = []
        first = 0
        for frame, question in enumerate(questions):
            if question != questions[first]:
                first = frame
            if sizes[frame] != sizes[first]:
                raise InvalidInput(
                    f"Frame {frame + 1} is {_said(sizes[frame])} and frame {first + 1} {_said(sizes[first])} pixels "
                    "(height x width): no map lies between frames of two sizes. Make all one size, or set every to 1."
                )
            is_last = frame + 1 == len(questions) or questions[frame + 1] != question
            if is_last or (frame - first) % every == 0:
                read.append(frame)
        return cls(len(sizes), tuple(read), int(every))

    def taken(self, values: Sequence[T]) -> list[T]:
        """Of one value for each frame those of the frames that are read."""
        return [values[frame] for frame in self.read]

    def held(self, values: Sequence[T]) -> tuple[T, ...]:
        """A value for each frame, of those that were read: the last one before it."""
        ends = (*self.read[1:], self.count)
        return tuple(
            value for value, start, end in zip(values, self.read, ends, strict=True) for _ in range(start, end)
        )

    def filled(self, maps: Sequence[PictureMap]) -> tuple[PictureMap, ...]:
        """A map for each frame, of those that were read."""
        if len(self.read) == self.count:
            return tuple(maps)
        found: list[PictureMap] = []
        for start, end, before, after in zip(self.read, self.read[1:], maps, maps[1:], strict=False):
            shares = [(frame - start) / (end - start) for frame in range(start + 1, end)]
            found += [before, *(between(before, after, share) for share in shares)]
        found.append(maps[-1])
        if self.every <= FOLLOWS_UP_TO:
            return tuple(found)
        note = (
            f"one frame in {self.every} was read: beyond {FOLLOWS_UP_TO} the map no longer follows what crosses the "
            f"picture. Set every to {FOLLOWS_UP_TO} or 1 unless hardly anything moves."
        )
        return tuple(picture.warn(note) for picture in found)


def _said(sizes: Sizes) -> str:
    return ", ".join(f"{height} x {width}" for height, width in sizes)


def between(before: PictureMap, after: PictureMap, share: float) -> PictureMap:
    """The map that lies `share` of the way from one to the other, of the words that both have.

    Each frame of a clip may have an answer of its own; the whole of one stands beside the whole of the other.
    """
    own, other = _places(before), _places(after)
    both = [key for key in own if key in other]
    first, last = before.pick([own[key] for key in both]), after.pick([other[key] for key in both])
    parts = {}
    for name, views in first.parts.items():
        ends = last.parts.get(name, ())
        if [(view.values.shape, view.box) for view in views] != [(view.values.shape, view.box) for view in ends]:
            raise InvalidInput("Two frames have maps of different grids, between which nothing lies. Set every to 1.")
        parts[name] = tuple(
            replace(view, values=torch.lerp(view.values, end.values, share), valid=view.valid & end.valid)
            for view, end in zip(views, ends, strict=True)
        )
    presence = tuple(a + (b - a) * share for a, b in zip(first.presence, last.presence, strict=True))
    warnings = tuple(dict.fromkeys((*before.warnings, *after.warnings)))
    return replace(first, parts=parts, presence=presence, warnings=warnings)


def _places(picture: PictureMap) -> dict[tuple[str, str, int], int]:
    """Where each label stands, by its role, its text and how many of these came before."""
    seen: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str, int], int] = {}
    for index, label in enumerate(picture.labels):
        role, text = label.role, "" if label.role == "whole" else label.text.casefold()
        places[role, text, seen[role, text]] = index
        seen[role, text] += 1
    return places
