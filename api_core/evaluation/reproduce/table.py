"""The table of a plan: every figure published and here, its difference to the plain picture, and what is lacking."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import AttentionPromptingError, InvalidInput, shortened
from ..cases import QuestionCase
from ..official.data_set import Answers, Resources
from ..official.judge import read_verdicts
from ..official.registry import DATA_SETS, find_data_set
from ..official.results import results_of
from ..official.score_table import ScoreRow, ScoreTable, difference, shown
from ..runner.results_file import Record
from ..tables import Table
from .explained import RULE, explained_table
from .plan import Figure, Plan, Row
from .rows import Sets, answer_key, answers_in

COLUMNS = ("row", "figure", "rule", "published", "ours", "difference", "n", "failed", "unparsed")
_NOTE = (
    "*ours* ± half the 95 % interval: what belongs together (a picture, a pair) is drawn anew 1,000 times. "
    "*difference*: to the row of the same set and model that is named first, the same questions drawn together. *n*: "
    "answered; *failed* ones are left out; *unparsed*: the rule could not read them. Several seeds: the mean of each "
    "question comes first; *sd* is that of the seeds."
)


@dataclass(frozen=True)
class Line:
    """One line of the table. difference: to the base, with half its interval. sd: of the seeds. lacks: why there is no
    figure, empty where there is one."""

    row: Row
    figure: Figure
    rule: str
    ours: ScoreRow | None = None
    difference: tuple[float, float] | None = None
    sd: float = math.nan
    lacks: str = ""

    def to_json(self) -> dict[str, Any]:
        gain, half = self.difference or (math.nan, math.nan)
        found = self.ours.to_json() if self.ours else {}
        numbers = {"published": self.figure.published, "published_sd": self.figure.deviation, "sd_of_seeds": self.sd}
        numbers |= {"difference": gain, "difference_half": half}
        told = {name: _number(value) for name, value in numbers.items()}
        about = {"row": self.row.name, "figure": self.figure.name, "rule": self.rule, "source": self.figure.source}
        ours = {name: found.get(name) for name in ("value", "half", "n", "failed", "unparsed")}
        return {**about, **told, **ours, "seeds": list(self.row.seeds), "lacks": self.lacks}


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


@dataclass(frozen=True)
class Scored:
    """What was found of one row. cases: those that are asked. said: for each seed the answers or, of an explained row,
    the records, by the cases' ids. verdicts: for each seed, of sets that are judged. folder: of the official files."""

    row: Row
    cases: Sequence[QuestionCase]
    said: Sequence[Mapping[str, Any]]
    verdicts: Sequence[Path] = ()
    folder: Path | None = None
    tables: dict[Any, list[ScoreTable]] = field(default_factory=dict, compare=False)

    @cached_property
    def answered(self) -> frozenset[str]:
        """The cases that every seed has an answer to."""
        return frozenset.intersection(*(frozenset(one) for one in self.said))

    def figure(self, figure: Figure, among: frozenset[str] | None = None) -> tuple[ScoreRow, float]:
        """A figure over all seeds, and their standard deviation. among: only these cases, where it is less than all."""
        rule = self.rule(figure)
        rows = [_sum([_row(table, part) for part in figure.parts]) for table in self._tables(rule, among)]
        return _mean(rows, figure.name), float(np.std([row.value for row in rows], ddof=1)) if len(
            rows
        ) > 1 else math.nan

    def rule(self, figure: Figure) -> str:
        return RULE if self.row.explained else rule_of(self.row, figure)

    def _tables(self, rule: str, among: frozenset[str] | None) -> list[ScoreTable]:
        if among is not None and all(among == frozenset(one) for one in self.said):
            among = None
        if (rule, among) not in self.tables:
            self.tables[rule, among] = [self._score(rule, number, among) for number in range(len(self.said))]
        return self.tables[rule, among]

    def _score(self, rule: str, number: int, among: frozenset[str] | None) -> ScoreTable:
        said = {name: one for name, one in self.said[number].items() if among is None or name in among}
        if self.row.explained:
            return explained_table(self.cases, said)
        data_set = find_data_set(self.row.data_set)
        if rule not in data_set.rules:
            raise InvalidInput(f"{data_set.title} has no rule {shortened(rule)!r}; it has {', '.join(data_set.rules)}.")
        more: dict[str, Any] = {}
        if data_set.judging is not None:
            if not self.verdicts or not self.verdicts[number].is_file():
                raise InvalidInput("not judged yet: name a judge with --judge PROFILE:MODEL")
            key = answer_key(self.row)
            more["verdicts"] = read_verdicts(self.verdicts[number], {key: said})[key]
        return data_set.score(self.cases, said, rule, Resources(self.folder, more))


def rule_of(row: Row, figure: Figure) -> str:
    """The rule that a figure is by: the one it names, else the set's first."""
    return figure.rule or next(iter(find_data_set(row.data_set).rules))


def scored(sets: Sets, row: Row) -> Scored:
    """What the journals of a row hold of the cases that are asked."""
    places, cases, every = sets.places, sets.some(row), sets.every(row)
    said: list[Answers | dict[str, Record]] = []
    for seed in row.seeds:
        path = places.journal(row, seed)
        if not path.is_file():
            raise InvalidInput("not run yet")
        asked = sets.asked(row, seed, every)
        said.append(_explained(path, cases, asked) if row.explained else answers_in(path, row, cases, asked))
    verdicts = [places.verdicts(row, seed) for seed in row.seeds]
    return Scored(row, cases, said, verdicts, places.data / row.data_set)


def _explained(path: Path, cases: Sequence[QuestionCase], every: Sequence[QuestionCase]) -> dict[str, Record]:
    wanted = {case.id for case in cases}
    return {one["id"]: one for one in results_of(path, every) if one["id"] in wanted and "error" not in one}


def line_of(found: Scored, figure: Figure, base: Scored | None) -> Line:
    """One line of a row. base: what it is compared with."""
    rule = found.rule(figure)
    try:
        ours, sd = found.figure(figure)
    except AttentionPromptingError as error:
        return Line(found.row, figure, rule, lacks=" ".join(str(error).split()))
    return Line(found.row, figure, rule, ours, _difference(found, base, figure), sd)


def _difference(found: Scored, base: Scored | None, figure: Figure) -> tuple[float, float] | None:
    """On the questions that both have answered with every seed."""
    if base is None:
        return None
    both = found.answered & base.answered
    try:
        return difference(found.figure(figure, both)[0], base.figure(figure, both)[0])
    except AttentionPromptingError:  # such as a base that has not been judged: its own line says so
        return None


def empty_lines(row: Row, why: str) -> list[Line]:
    """The lines of a row of which there is nothing."""
    known = row.data_set in DATA_SETS
    rules = [RULE if row.explained else rule_of(row, one) if known else one.rule for one in row.figures]
    return [Line(row, one, rule, lacks=why) for one, rule in zip(row.figures, rules, strict=True)]


def _row(table: ScoreTable, name: str) -> ScoreRow:
    for row in table.rows:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in table.rows)
    raise InvalidInput(f"there is no figure {shortened(name)!r}; there are {shortened(known, 400)}")


def _sum(rows: Sequence[ScoreRow]) -> ScoreRow:
    if len(rows) == 1:
        return rows[0]
    n, failed, unparsed = (sum(getattr(row, name) for row in rows) for name in ("n", "failed", "unparsed"))
    value = sum(row.value for row in rows)

    def draw() -> np.ndarray:
        summed: np.ndarray = np.sum([row.draws for row in rows], axis=0)
        return summed

    return ScoreRow("", rows[0].rule, value, n, failed, unparsed, rows[0].digits, draw)


def _mean(rows: Sequence[ScoreRow], name: str) -> ScoreRow:
    """Over seeds: the mean of the figure and of each of its draws, so that what is drawn is the questions."""
    value = float(np.mean([row.value for row in rows]))
    n = max(row.n for row in rows)
    failed, unparsed = (sum(getattr(row, name) for row in rows) for name in ("failed", "unparsed"))

    def draw() -> np.ndarray:
        mean: np.ndarray = np.mean([row.draws for row in rows], axis=0)
        return mean

    return ScoreRow(name, rows[0].rule, value, n, failed, unparsed, rows[0].digits, draw)


def to_table(plan: Plan, lines: Sequence[Line], notes: Sequence[str]) -> Table:
    """The whole table as Markdown is made of; the sources of what was published are its last notes."""
    sources = list(dict.fromkeys(line.figure.source for line in lines if line.figure.source))
    rows = tuple(_cells(line, sources) for line in lines)
    named = tuple(f"[{number}] {source}" for number, source in enumerate(sources, 1))
    return Table(plan.title, COLUMNS, rows, (_NOTE, *plan.notes, *notes, *_lacking(lines), *named))


def _lacking(lines: Sequence[Line]) -> Iterator[str]:
    """Why rows have no figure, and which."""
    names: dict[str, dict[str, None]] = {}
    for line in lines:
        if line.lacks:
            names.setdefault(line.lacks, {})[line.row.name] = None
    for why, of in names.items():
        yield f"{', '.join(of)}: {why}"


def _cells(line: Line, sources: Sequence[str]) -> tuple[str, ...]:
    figure, ours = line.figure, line.ours
    published = ""
    if figure.published is not None:
        deviation = "" if figure.deviation is None else f" (sd {figure.deviation:g})"
        published = f"{figure.published:g}{deviation} [{sources.index(figure.source) + 1}]" if figure.source else ""
        published = published or f"{figure.published:g}{deviation}"
    about = (line.row.name, figure.name, line.rule, published)
    if ours is None:
        return (*about, shown(math.nan, math.nan, 1), "", "", "", "")
    value = shown(ours.value, ours.half, ours.digits) + (
        "" if math.isnan(line.sd) else f" (sd {line.sd:.{ours.digits}f})"
    )
    gain = "" if line.difference is None else shown(*line.difference, ours.digits, signed=True)
    return (*about, value, gain, *(str(number) for number in (ours.n, ours.failed, ours.unparsed)))
