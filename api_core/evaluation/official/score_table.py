"""Scores with their intervals: of any figure that can be made of cases, by drawing what is dependent anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..cases import QuestionCase
from ..tables import Table

DRAWS = 1000

Figure = Callable[[np.ndarray], float]
"""Gets how often each case counts [cases], float64, and gives the figure; NaN where there is none."""


@dataclass(frozen=True)
class Metric:
    """One figure. where: the cases it is about [cases], all where None. unparsed: those whose answer the rule could not
    read [cases]. digits: how many are printed behind the point.
    """

    name: str
    of: Figure
    where: np.ndarray | None = None
    unparsed: np.ndarray | None = None
    digits: int = 1


@dataclass(frozen=True)
class ScoreRow:
    """A figure of n answered cases. failed: cases without an answer, which are left out. unparsed: answers that the
    rule could not read. draw: makes `draws`, which take a while and are made for those who ask.
    """

    name: str
    rule: str
    value: float
    n: int
    failed: int
    unparsed: int
    digits: int = 1
    draw: Callable[[], np.ndarray] = field(default=lambda: np.zeros(0), repr=False, compare=False)

    @cached_property
    def draws(self) -> np.ndarray:
        """The figure when the groups are drawn anew [DRAWS]."""
        return self.draw()

    @cached_property
    def half(self) -> float:
        """Half the 95 % interval of the figure; NaN: unknown."""
        return half_interval(self.draws)

    def to_json(self) -> dict[str, Any]:
        names = ("name", "rule", "value", "half", "n", "failed", "unparsed")
        line = {name: getattr(self, name) for name in names}
        return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in line.items()}


@dataclass(frozen=True)
class ScoreTable:
    """The rows of one rule, or of several. notes: what a reader has to know about them."""

    rows: tuple[ScoreRow, ...]
    notes: tuple[str, ...] = ()

    def __add__(self, other: ScoreTable) -> ScoreTable:
        notes = [note for note in other.notes if note not in self.notes]
        return ScoreTable(self.rows + other.rows, (*self.notes, *notes))

    def __getitem__(self, name: str) -> ScoreRow:
        """The first row of that name."""
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        return {"rows": [row.to_json() for row in self.rows], "notes": list(self.notes)}


def score_table(
    cases: Sequence[QuestionCase],
    answered: Sequence[bool],
    rule: str,
    metrics: Sequence[Metric],
    notes: Sequence[str] = (),
) -> ScoreTable:
    """Every metric over the cases that are `answered`, with the interval of drawing their groups anew.

    A case's group is `meta.group`: cases of one picture, or of one pair, depend on each other; one without stands for
    itself. The draws are the same for every rule and every arm of the same cases, so that differences pair up.
    """
    there = np.asarray(answered, bool)
    weights = _drawn_anew(tuple(str(case.meta.get("group", case.id)) for case in cases))
    return ScoreTable(tuple(_row(rule, metric, there, weights) for metric in metrics), tuple(notes))


def _row(rule: str, metric: Metric, there: np.ndarray, weights: np.ndarray) -> ScoreRow:
    about = np.ones_like(there) if metric.where is None else metric.where
    counted = (about & there).astype(float)
    n = int(counted.sum())
    value = float(metric.of(counted)) if n else math.nan
    unparsed = 0 if metric.unparsed is None else int((metric.unparsed & about & there).sum())
    failed = int((about & ~there).sum())

    def draw() -> np.ndarray:
        return np.array([metric.of(counted * one) for one in weights]) if n else np.full(len(weights), math.nan)

    return ScoreRow(metric.name, rule, value, n, failed, unparsed, metric.digits, draw)


def half_interval(draws: np.ndarray) -> float:
    """Half the width of the middle 95 % of a figure's draws; NaN for none, or for groups that cannot differ."""
    fine = draws[np.isfinite(draws)]
    if len(fine) < 2:
        return math.nan
    low, high = np.quantile(fine, (0.025, 0.975))
    return float(high - low) / 2


def difference(row: ScoreRow, other: ScoreRow) -> tuple[float, float]:
    """How much more `row` is than `other`, and half the interval of that, both drawn by the same groups."""
    return row.value - other.value, half_interval(row.draws - other.draws)


def masks_of(names: Sequence[str]) -> dict[str, np.ndarray]:
    """For each name, which cases have it [cases]; `names` has one for each case."""
    array = np.asarray(names)
    return {name: array == name for name in dict.fromkeys(names)}


def mean_of(values: np.ndarray, times: float = 100.0) -> Figure:
    """The figure that is the mean of `values` [cases], in per cent unless told otherwise."""
    numbers = np.asarray(values, float)
    return lambda weights: ratio(weights @ numbers, weights.sum()) * times


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN where there is nothing to divide by."""
    return float(part) / float(whole) if whole else math.nan


@lru_cache(maxsize=2)
def _drawn_anew(groups: tuple[str, ...]) -> np.ndarray:
    """How often each case counts when as many groups are drawn as there are: [DRAWS, cases]; no draw for one group."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return np.zeros((0, len(groups)))
    chosen = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    return np.stack([np.bincount(one, minlength=len(names)) for one in chosen]).astype(np.float32)[:, index]


def to_table(title: str, tables: Mapping[str, ScoreTable]) -> Table:
    """The rows of every arm's table, as Markdown is made of; arm: what the model was shown."""
    rows = tuple((arm, *_cells(row)) for arm, table in tables.items() for row in table.rows)
    notes = tuple(dict.fromkeys(note for table in tables.values() for note in table.notes))
    return Table(title, ("shown", "figure", "rule", "value", "n", "failed", "unparsed"), rows, notes)


def _cells(row: ScoreRow) -> tuple[str, ...]:
    return row.name, row.rule, shown(row.value, row.half, row.digits), *map(str, (row.n, row.failed, row.unparsed))


def shown(value: float, half: float, digits: int, signed: bool = False) -> str:
    """ "81.2 ± 1.7", or "+3.4 ± 0.9" where `signed`; a dash for no value."""
    if math.isnan(value):
        return "–"  # noqa: RUF001 - a dash in a table is meant
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text if math.isnan(half) else f"{text} ± {half:.{digits}f}"
