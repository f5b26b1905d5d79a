"""What a published data set is here: where it comes from, how its files are read, its rules, its format of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, shortened
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase
from .files import write_lines
from .rules.judge_prompts import Judging
from .score_table import ScoreTable

Answers = Mapping[str, str]
"""The answers to score, by the cases' ids. A case that is not there has failed or has not been asked."""

CASES_FILE = "cases.jsonl"
PICTURES_FOLDER = "pictures"


@dataclass(frozen=True)
class Source:
    """What is to be read. folder: the official one, or the hub's with its parquet files. split, wording: one that the
    data set has. pictures: where its picture files are. extracted: where those inside parquet files are written to."""

    folder: Path
    split: str
    wording: str
    pictures: Path
    extracted: Path


@dataclass(frozen=True)
class Resources:
    """What some rules need besides cases and answers. folder: the official files, for rules that read word lists there.
    more: what a rule is handed by whoever calls it, by name: a judge, taggers.
    """

    folder: Path | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


NOTHING_MORE = Resources()


@dataclass(frozen=True)
class DataSet:
    """One published data set.

    source: where its files are to be had, as a sentence's end. counts: how many questions a split has, the first split
    being read unless another is named. wordings: how its questions can be put, by name, the first unless another is
    named, and what each does. rules: how answers are judged, by name, and what each does; the first is the official
    one. score: makes one table for one of the rules. export: writes answers as the official program takes them;
    exported: what that is. judging: how a model judges the answers, of sets whose rules count verdicts.
    """

    name: str
    title: str
    licence: str
    source: str
    counts: Mapping[str, int]
    wordings: Mapping[str, str]
    rules: Mapping[str, str]
    read: Callable[[Source], Iterator[QuestionCase]]
    score: Callable[[Sequence[QuestionCase], Answers, str, Resources], ScoreTable]
    export: Callable[[Sequence[QuestionCase], Answers, Path], None]
    exported: str
    judging: Judging | None = None

    def case_id(self, split: str, key: object) -> str:
        return f"{self.name}/{split}/{key}"


def write_cases(
    data_set: DataSet,
    folder: Path,
    out: Path,
    *,
    split: str = "",
    wording: str = "",
    pictures: Path | None = None,
    partial: bool = False,
    on_progress: Progress = ignore_progress,
) -> list[QuestionCase]:
    """Read a data set and write `cases.jsonl`, and the pictures of parquet files beside it, to the folder `out`.

    pictures: where its picture files are, where that is not `folder`. Raises InvalidInput for a folder or picture that
    is not there, a file that cannot be read, and a number of questions other than the published one unless `partial`.
    """
    split = _one_of("split", split, data_set, data_set.counts)
    wording = _one_of("wording", wording, data_set, data_set.wordings)
    count = data_set.counts[split]
    if not folder.is_dir():
        raise InvalidInput(
            f"There is no folder {shortened(folder)}. {data_set.title} ({split}: {count} questions; licence: "
            f"{data_set.licence}) is not downloaded for you; get it from {data_set.source}, and name its folder."
        )
    cases: list[QuestionCase] = []
    for case in data_set.read(Source(folder, split, wording, pictures or folder, out / PICTURES_FOLDER)):
        cases.append(case)
        on_progress(min(len(cases), count), count)
    if len(cases) != count and not partial:
        raise InvalidInput(
            f"{shortened(folder)} holds {len(cases)} questions of {data_set.title}, {split}, which has {count}. Get "
            f"the whole of it from {data_set.source}, or say --partial to go on with these."
        )
    if not cases:
        raise InvalidInput(f"{shortened(folder)} holds no question of {data_set.title}, {split}.")
    _require_pictures(cases)
    write_lines(out / CASES_FILE, (_relative_to(out, case).to_json() for case in cases))
    return cases


def require_whole(cases: Sequence[QuestionCase], groups: Iterable[Sequence[int]], answers: Answers) -> None:
    """InvalidInput where some cases of a group, given by their numbers, have an answer and others have none.

    For official programs that go by the order of lines alone: a gap would give the lines behind it to other questions.
    """
    for numbers in groups:
        missing = [cases[number].id for number in numbers if cases[number].id not in answers]
        if 0 < len(missing) < len(numbers):
            raise InvalidInput(
                f"{missing[0]!r} has no answer, and the official program goes by the order of lines. Run its case "
                "again."
            )


def groups_of(cases: Sequence[QuestionCase]) -> dict[str, list[int]]:
    """The numbers of the cases that belong together by `meta.group`, such as those about one picture."""
    found: dict[str, list[int]] = {}
    for number, case in enumerate(cases):
        found.setdefault(str(case.meta.get("group", case.id)), []).append(number)
    return found


def _one_of(what: str, named: str, data_set: DataSet, known: Mapping[str, Any]) -> str:
    if named and named not in known:
        raise InvalidInput(f"{data_set.title} has no {what} {shortened(named)!r}. Choose one of {', '.join(known)}.")
    return named or next(iter(known))


def _require_pictures(cases: Sequence[QuestionCase]) -> None:
    paths = {path: case for case in reversed(cases) for path in (case.picture, *case.more_pictures)}
    missing = [path for path in paths if isinstance(path, Path) and not path.is_file()]
    if missing:
        first = missing[-1]
        raise InvalidInput(
            f"{len(missing)} of {len(paths)} pictures are not there, the first {first} (of {paths[first].id}). Name "
            "their folder with --pictures, or put them where the data set's own description has them."
        )


def _relative_to(folder: Path, case: QuestionCase) -> QuestionCase:
    """The case as a file in `folder` names its pictures: those inside the folder relative to it."""

    def named(path: Path) -> Path:
        whole, inside = path.resolve(), folder.resolve()
        return whole.relative_to(inside) if whole.is_relative_to(inside) else whole

    assert isinstance(case.picture, Path)
    return replace(case, picture=named(case.picture), more_pictures=tuple(map(named, case.more_pictures)))
