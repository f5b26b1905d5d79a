"""Tables of results, as Markdown: figures with their 95 % intervals, by picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cases import QuestionCase


@dataclass(frozen=True)
class Table:
    """`rows` hold one text for each of `columns`. `notes` say what a reader has to know."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        lines = [f"### {self.title}", "", *(f"{note}\n" for note in self.notes)]
        lines += [_row(self.columns), _row(["---"] * len(self.columns)), *map(_row, self.rows)]
        return "\n".join(lines) + "\n"


def percent(values: Sequence[float], pictures: Sequence[int], signed: bool = False) -> str:
    """ "81.2 ± 1.7", or "+3.4 ± 0.9" where `signed`; a dash for no values."""
    if not values:
        return "–"  # noqa: RUF001 - a dash in a table is meant
    mean, half = mean_with_interval(values, pictures)
    text = f"{100 * mean:+.1f}" if signed else f"{100 * mean:.1f}"
    return text if math.isnan(half) else f"{text} ± {100 * half:.1f}"


def mean_with_interval(values: Sequence[float], clusters: Sequence[int]) -> tuple[float, float]:
    """The mean and half its 95 % interval, values of one cluster (questions about one picture) taken as dependent."""
    array, groups = np.asarray(values, float), np.asarray(clusters)
    mean = float(array.mean())
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, weights=array - mean)
    count = len(sums)
    if count < 2:
        return mean, float("nan")
    return mean, 1.96 * float(np.sqrt(count / (count - 1) * (sums**2).sum())) / len(array)


def resampled(values: Sequence[np.ndarray], clusters: Sequence[int], draws: int) -> tuple[np.ndarray, np.ndarray]:
    """The sums of each of `values` [questions] in every cluster: [values, clusters]; and of as many drawn anew, `draws`
    times: [values, draws]."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    each = np.stack([np.bincount(index, weights=one) for one in values])
    chosen = np.random.default_rng(0).integers(each.shape[1], size=(draws, each.shape[1]))
    return each, each[:, chosen].sum(-1)


def picture_numbers(cases: Sequence[QuestionCase]) -> list[int]:
    """For each case the number of its picture: questions about one picture belong together."""
    known: dict[object, int] = {}
    return [known.setdefault(case.picture, len(known)) for case in cases]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
