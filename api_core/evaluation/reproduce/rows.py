"""The cases, journals and answers of a plan's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...answering import find_template
from ...choices import CONTROLS
from ...errors import InvalidInput
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase
from ..official.data_set import CASES_FILE, Answers, DataSet, groups_of, write_cases
from ..official.registry import find_data_set
from ..official.results import arms_of, results_of
from ..readers.jsonl import read_cases
from ..runner.saving import file_stem
from .plan import Row


@dataclass(frozen=True)
class Places:
    """Where things are. data: a folder with one for each set, and `judge/<set>` with the judges' prompts. models:
    folders of models beside the hub's cache. out: of all that is made.

    quick: so many cases of each set, all where None. partial: a set may have other cases than were published.
    """

    data: Path
    out: Path
    models: tuple[Path, ...] = ()
    quick: int | None = None
    partial: bool = False

    def cases(self, row: Row) -> Path:
        return self.out / row.cases / CASES_FILE

    def journal(self, row: Row, seed: int) -> Path:
        several = f".seed-{seed}" if len(row.seeds) > 1 else ""
        return self.out / row.cases / file_stem(row.model) / f"{file_stem(row.shown)}{several}.jsonl"

    def verdicts(self, row: Row, seed: int) -> Path:
        return self.journal(row, seed).with_suffix(".verdicts.jsonl")

    def prompts_of_judge(self, data_set: DataSet) -> Path:
        return self.data / "judge" / data_set.name


def with_controls(rows: Sequence[Row]) -> list[Row]:
    """Every row and, of those that prompt, its controls, with nothing published."""
    return [one for row in rows for one in (row, *_controls(row))]


def _controls(row: Row) -> Iterator[Row]:
    figures = tuple(replace(one, published=None, deviation=None, source="") for one in row.figures)
    for control in CONTROLS if row.prompts else ():
        yield replace(row, control=control, figures=figures, settings={**row.settings, "control": control})


def count_of(places: Places, row: Row) -> int:
    """How many cases a row has: of those that were read before, else of those that were published."""
    if places.cases(row).is_file():
        return len(sample_of(read_cases(places.cases(row)), places.quick))
    count = _published(row)
    return count if places.quick is None else min(count, places.quick)


def read_set(places: Places, row: Row, on_progress: Progress = ignore_progress) -> list[QuestionCase]:
    """The cases of a row's set: those that were read before, or what its official files hold.

    A set that was read in part is read anew where the whole is asked for.
    """
    path = places.cases(row)
    data_set = find_data_set(row.data_set)
    partial = places.partial or places.quick is not None
    if path.is_file():
        cases = read_cases(path)
        if partial or len(cases) == _published(row):
            return cases
    folder = places.data / data_set.name
    write_cases(
        data_set,
        folder,
        path.parent,
        split=row.split,
        wording=row.wording,
        partial=partial,
        on_progress=on_progress,
    )
    return read_cases(path)


def _published(row: Row) -> int:
    data_set = find_data_set(row.data_set)
    return data_set.counts[row.split or next(iter(data_set.counts))]


def sample_of(cases: Sequence[QuestionCase], count: int | None) -> list[QuestionCase]:
    """About so many cases, from all over the list: whole groups (pictures, pairs), two at least. All where None."""
    if count is None or len(cases) <= count:
        return list(cases)
    several = list(groups_of(cases).values())
    wanted = max(2, min(len(several), round(count * len(several) / len(cases))))
    taken = {number for n in range(wanted) for number in several[n * len(several) // wanted]}
    return [case for number, case in enumerate(cases) if number in taken]


def answer_key(row: Row) -> str:
    """Which of the answers on a line of its journal a row is about."""
    if row.settings.get("keep") == "surer":
        return "kept"
    return "prompted" if row.prompts else "plain"


def answers_in(path: Path, row: Row, cases: Sequence[QuestionCase], every: Sequence[QuestionCase]) -> Answers:
    """The answers that a journal has to `cases`, some of those `every` that it may be about."""
    found = arms_of(results_of(path, every)).get(answer_key(row), {})
    return {case.id: found[case.id] for case in cases if case.id in found}


@dataclass
class Sets:
    """The cases of a plan's rows. Each set is read once. on_set: called with a set's name, gives its progress."""

    places: Places
    rows: Sequence[Row]
    on_set: Callable[[str], Progress] = lambda name: ignore_progress
    read: dict[str, list[QuestionCase]] = field(default_factory=dict)

    def every(self, row: Row) -> list[QuestionCase]:
        """All cases of a row's set."""
        if row.cases not in self.read:
            self.read[row.cases] = read_set(self.places, row, self.on_set(row.cases))
        return self.read[row.cases]

    def some(self, row: Row) -> list[QuestionCase]:
        """Those that are asked now: all, or a few in quick mode."""
        return sample_of(self.every(row), self.places.quick)

    def asked(self, row: Row, seed: int, cases: Sequence[QuestionCase]) -> list[QuestionCase]:
        """The cases as they are put: with an earlier answer in view where the row is after another; those without such
        an answer are left out."""
        if not row.after:
            return list(cases)
        first = self.row_like(row, row.after)
        journal = self.places.journal(first, seed)
        if not journal.is_file():
            raise InvalidInput(f"needs the answers of {first.name}, which was not run yet")
        every = self.every(row)
        previous = answers_in(journal, first, every, self.asked(first, seed, every))
        form = find_template(str(row.settings["template"]))
        return [
            replace(case, question=form.fill(case.question, previous_answer=previous[case.id]), query=case.map_query)
            for case in cases
            if previous.get(case.id, "").strip()
        ]

    def row_like(self, row: Row, arm: str) -> Row:
        """The row of the same set and model with another arm."""
        return next(
            one for one in self.rows if (one.cases, one.model, one.arm, one.control) == (row.cases, row.model, arm, "")
        )
