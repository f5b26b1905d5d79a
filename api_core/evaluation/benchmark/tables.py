"""Tables of results, as Markdown: figures with their 95 % intervals, by picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..cases import QuestionCase
from ..localisation import mean_with_interval


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


def picture_numbers(cases: Sequence[QuestionCase]) -> list[int]:
    """For each case the number of its picture: questions about one picture belong together."""
    known: dict[object, int] = {}
    return [known.setdefault(case.picture, len(known)) for case in cases]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
