"""Ways to show a picture to a model that answers: plain, prompted by a map, and the controls a map has to beat.

The controls of a map are those of `runner.controls`. The "oracle" is the box of what was asked for, as soft as a map of
the same smoothing: what a perfect map would do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...answering.surest import confidence_of
from ...errors import InvalidInput
from ...masks import MaskSettings, tune
from ...morphology import box_mean, grow
from ...overlay import BlurStyle, FadeStyle, Style
from ...overlay import apply as draw_style
from ...progress import Progress
from ...regions import best_window
from ...results import Heatmap
from ..cases import QuestionCase, pictures_of
from ..runner.controls import Change, changed
from ..runner.map_sources import MapSource
from ..runner.prompt_and_ask import Answerer
from ..scorers.answers import is_right

ORACLE = "oracle"

# Of a map, along the shorter side: what the width of a hard mask's edge is counted in.
_CELLS = 14


def style_title(style: Style) -> str:
    """A style in a few words."""
    if isinstance(style, FadeStyle):
        return f"fade to grey level {round(255 * style.color[0])}" if len(set(style.color)) == 1 else str(style)
    return f"blur {style.radius:g} px" if isinstance(style, BlurStyle) else str(style)


@dataclass(frozen=True)
class Look:
    """How a mask is made of a map and drawn.

    threshold: 0 keeps the mask soft and smooths the map; else what reaches it stays lit, with an edge as soft and as
    wide as `smoothing` says.
    """

    contrast: float = 1.0
    smoothing: float = 3.0
    threshold: float = 0.0
    style: Style = field(default_factory=FadeStyle)
    strength: float = 0.5

    @property
    def title(self) -> str:
        tight = f", threshold {self.threshold:g}" if self.threshold else ""
        tuning = f"contrast {self.contrast:g}, smoothing {self.smoothing:g}{tight}"
        return f"{tuning}, {style_title(self.style)}, strength {self.strength:g}"


@dataclass(frozen=True)
class Arm:
    """One way to show the picture. source: a name of the maps, `ORACLE`, or "" for the plain picture."""

    name: str
    source: str = ""
    look: Look = field(default_factory=Look)
    change: Change = ""


@dataclass(frozen=True)
class CloseUpArm(Arm):
    """The window of `side` pixels that holds most of the mask, instead of the whole picture."""

    side: int = 112


@dataclass(frozen=True)
class TileArm(Arm):
    """A quarter of the picture, without any map: what more pixels alone do. tile: 0 to 3."""

    tile: int = 0


def with_controls(source: str, look: Look) -> list[Arm]:
    """A map and its two controls."""
    return [
        Arm(f"{source} map", source, look),
        Arm(f"{source} map, moved by lot", source, look, "moved"),
        Arm(f"{source} map's mean everywhere", source, look, "uniform"),
    ]


def describe(arms: Sequence[Arm], maps: Mapping[str, MapSource]) -> dict[str, Any]:
    """The settings of a run over `arms`; those themselves as a digest, for there may be many."""
    digest = hashlib.sha256(repr(list(arms)).encode()).hexdigest()[:16]
    return {"maps": {name: source.settings for name, source in maps.items()}, "arms": f"{len(arms)}, {digest}"}


@dataclass(frozen=True)
class AskArms:
    """The work of `runner.run_cases`: every case asked in every arm; which answers were right, and what they were.

    maps: the map sources by name. batch_size: pictures asked at once. keep_confidence: also how sure each answer is.
    """

    answer: Answerer
    arms: Sequence[Arm]
    maps: Mapping[str, MapSource]
    seed: int = 0
    batch_size: int = 64
    keep_answers: bool = True
    keep_confidence: bool = False

    def __post_init__(self) -> None:
        for arm in self.arms:
            if arm.source not in ("", ORACLE, *self.maps):
                raise InvalidInput(f"The arm {arm.name!r} needs maps of {arm.source!r}; there are {list(self.maps)}.")

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        pictures = pictures_of(cases)
        masks = _Masks(pictures, cases, self.maps, self.seed, on_progress)
        right: list[dict[str, bool]] = [{} for _ in cases]
        sure: list[dict[str, float]] = [{} for _ in cases]
        said: list[dict[str, str]] = [{} for _ in cases]
        waiting: list[tuple[int, str, Tensor]] = []
        for arm in self.arms:
            waiting += [(i, arm.name, masks.shown(arm, i)) for i in range(len(cases))]
            while len(waiting) >= self.batch_size or (waiting and arm is self.arms[-1]):
                group, waiting = waiting[: self.batch_size], waiting[self.batch_size :]
                questions = [cases[i].question for i, _, _ in group]
                answers = self.answer([picture for _, _, picture in group], questions, on_progress)
                for (i, name, _), answer in zip(group, answers, strict=True):
                    said[i][name] = answer.text
                    right[i][name] = bool(is_right(answer.text, cases[i].answers, cases[i].scorer))
                    if self.keep_confidence:
                        sure[i][name] = confidence_of(answer)
        about = [{"kind": case.kind, "answers": case.answers} for case in cases]
        told = [{"said": texts} if self.keep_answers else {} for texts in said]
        sureness = [{"sure": values} if self.keep_confidence else {} for values in sure]
        return [{**a, "right": r, **t, **s} for a, r, t, s in zip(about, right, told, sureness, strict=True)]


@dataclass(frozen=True)
class _Masks:
    """The masks of one batch of cases, each made once."""

    pictures: Sequence[Tensor]
    cases: Sequence[QuestionCase]
    maps: Mapping[str, MapSource]
    seed: int
    on_progress: Progress
    heatmaps: dict[str, Heatmap] = field(default_factory=dict)
    masks: dict[tuple[str, float, float, float], Sequence[Tensor]] = field(default_factory=dict)

    def shown(self, arm: Arm, index: int) -> Tensor:
        """Picture `index` as this arm shows it."""
        picture = self.pictures[index]
        if isinstance(arm, TileArm):
            return tile(picture, arm.tile)
        if not arm.source:
            return picture
        mask = changed(self._mask(arm.source, arm.look, index), arm.change, self.cases[index].id, self.seed)
        if isinstance(arm, CloseUpArm):
            region, _ = best_window(mask, arm.side)
            return picture[region.y : region.y + region.height, region.x : region.x + region.width]
        return draw_style(picture, mask, arm.look.style, arm.look.strength)

    def _mask(self, source: str, look: Look, index: int) -> Tensor:
        if source == ORACLE:
            return oracle_mask(self.cases[index], self.pictures[index], look.smoothing)
        key = (source, look.contrast, look.smoothing, look.threshold)
        if key not in self.masks:
            if source not in self.heatmaps:
                queries = [case.map_query for case in self.cases]
                self.heatmaps[source] = self.maps[source](self.pictures, queries, self.on_progress)
            self.masks[key] = _tuned(self.heatmaps[source], look)
        return self.masks[key][index]


def tile(picture: Tensor, number: int) -> Tensor:
    """A quarter [h, w, C] of a picture, row by row."""
    height, width = picture.shape[:2]
    row, column = divmod(number, 2)
    rows = slice(row * height // 2, (row + 1) * height // 2)
    return picture[rows, column * width // 2 : (column + 1) * width // 2]


def _tuned(heatmap: Heatmap, look: Look) -> Sequence[Tensor]:
    if not look.threshold:
        return tune(heatmap, MaskSettings(look.contrast, look.smoothing)).masks
    hard = tune(heatmap, MaskSettings(look.contrast, 1, threshold=look.threshold))
    return [_haloed(mask, look.smoothing) for mask in hard.masks]


def _haloed(mask: Tensor, smoothing: float) -> Tensor:
    """A hard mask [H, W] with an edge as wide as `smoothing` cells, its bright part lit in full."""
    edge = smoothing * min(mask.shape) / _CELLS
    return box_mean(grow(mask, round(edge / 2), "square"), max(1.0, edge))


def oracle_mask(case: QuestionCase, picture: Tensor, smoothing: float) -> Tensor:
    """1 on the boxes of what was asked for, 0 elsewhere, with an edge as soft as `smoothing` says: [H, W].

    A question about what is not there has no box; its mask is 1 everywhere.
    """
    height, width = picture.shape[:2]
    if not case.boxes:
        return torch.ones(height, width)
    mask = torch.zeros(height, width)
    for left, top, right, bottom in case.boxes:
        mask[max(0, round(top)) : max(1, round(bottom)), max(0, round(left)) : max(1, round(right))] = 1
    return _haloed(mask, smoothing)
