"""What all experiments share: runs over cases whose results are kept, and figures by picture of what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...progress import Progress
from ..cases import QuestionCase
from ..runner.results_file import Record
from ..runner.run_cases import Work, run_cases
from ..tables import percent, picture_numbers


@dataclass
class Experiment:
    """The runs of one benchmark, whose results are kept in `folder` as `<name>-<part>.jsonl`. total: steps of all."""

    name: str
    folder: Path | None
    on_progress: Progress
    total: int
    done: int = 0

    def run(
        self,
        part: str,
        cases: Sequence[QuestionCase],
        work: Work,
        settings: Mapping[str, Any],
        *,
        batch_size: int = 1,
        steps: int = 1,
    ) -> tuple[Record, ...]:
        """The record of every case. steps: that a case counts for."""

        def report(cases_done: int, _: int) -> None:
            self.on_progress(self.done + steps * cases_done, self.total)

        out = None if self.folder is None else self.folder / f"{self.name}-{part}.jsonl"
        result = run_cases(cases, work, out, settings=settings, batch_size=batch_size, on_progress=report)
        self.done += steps * len(cases)
        return result.records


@dataclass(frozen=True)
class Results:
    """The cases that did not fail: what was found of each, and the number of its picture."""

    cases: list[QuestionCase]
    found: list[Any]
    pictures: list[int]
    failed: int

    @staticmethod
    def of(cases: Sequence[QuestionCase], records: Sequence[Record], key: str) -> Results:
        """found: what the records hold under `key`; those without it have failed."""
        rows = zip(cases, records, picture_numbers(cases), strict=True)
        done = [(case, record[key], number) for case, record, number in rows if key in record]
        failed = len(records) - len(done)
        return Results([case for case, _, _ in done], [one for _, one, _ in done], [n for _, _, n in done], failed)

    def percent(self, value: Callable[[Any], float], signed: bool = False) -> str:
        """The mean of a value of what was found, with its interval by picture."""
        return percent([value(one) for one in self.found], self.pictures, signed)

    def notes(self, text: str) -> tuple[str, ...]:
        """How much was found, what a reader has to know, and what failed."""
        counted = f"{len(self.found)} questions about {len(set(self.pictures))} pictures. {text}"
        return (counted, *failures(self.failed))


def failures(count: int) -> tuple[str, ...]:
    """The note on failed questions, where there are any."""
    return (f"{count} questions failed and are not counted.",) if count else ()
