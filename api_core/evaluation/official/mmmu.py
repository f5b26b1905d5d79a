"""MMMU (Yue et al., arXiv 2311.16502): college questions of thirty subjects, most with options, some open."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source
from .files import write_json
from .parquet import parquet_files, rows_of
from .pictures import write_picture
from .rules.mmmu_answers import is_open_right, read_letter
from .score_table import Figure, Metric, ScoreTable, score_table
from .wordings import SHORT

DOMAINS = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        *("Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine"),
        *("Pharmacy", "Public_Health"),
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        *("Agriculture", "Architecture_and_Engineering", "Computer_Science", "Electronics"),
        *("Energy_and_Power", "Materials", "Mechanical_Engineering"),
    ),
}
SUBJECTS = tuple(sorted(subject for subjects in DOMAINS.values() for subject in subjects))
OFFICIAL, UNPARSED_WRONG = "official", "unparsed-wrong"
LETTER = "Answer with the option's letter from the given choices directly."
DIRECT, ALL_PICTURES, BARE = "direct", "all-pictures", "bare"
CHOICE, OPEN = "multiple-choice", "open"
_FURTHER = tuple(f"image_{number}" for number in range(2, 8))
TOTAL = "total_val_output.json"
_SEED = 42


def read(source: Source) -> Iterator[QuestionCase]:
    files = parquet_files(source.folder, "validation")
    if not files:
        raise InvalidInput(f"{source.folder} has no parquet files validation-…, one for each subject or for all.")
    columns = ("id", "question", "options", "answer", "question_type", "image_1")
    rows = [_row(source, row) for row in rows_of(files, columns)]
    for number, row in enumerate(sorted(rows, key=lambda row: SUBJECTS.index(row["subject"]))):
        yield QuestionCase(
            id=MMMU.case_id(source.split, number),
            picture=row["picture"],
            question=row["question"] if source.wording == BARE else _worded(row),
            query=row["question"],
            kind=row["subject"],
            meta={name: row[name] for name in ("mmmu_id", "type", "options", "truths")},
            more_pictures=row["more"],
        )


def _row(source: Source, row: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a row; its picture is written at once, as the other columns of all rows fit into memory."""
    name = str(row["id"])
    subject = "_".join(name.split("_")[1:-1])
    if subject not in SUBJECTS:
        raise InvalidInput(f"MMMU has no subject {shortened(subject)!r}, which the id {shortened(name)!r} names.")
    options, truths = _list_in(row["options"], name, "options"), _list_in(row["answer"], name, "answer")
    kind = CHOICE if row["question_type"] == CHOICE else OPEN
    further = _FURTHER if source.wording == ALL_PICTURES else ()
    letters = {chr(ord("A") + place): option for place, option in enumerate(options)}
    if kind == CHOICE and not set(truths) <= set(letters):
        raise InvalidInput(f"The answer {shortened(row['answer'])!r} to {name} is none of its {len(letters)} options.")
    return {
        "mmmu_id": name,
        "subject": subject,
        "picture": write_picture(row["image_1"], source.extracted, name),
        "more": tuple(write_picture(row[one], source.extracted, name) for one in further if row.get(one)),
        "question": str(row["question"]),
        "type": kind,
        "options": letters if kind == CHOICE else {},
        "truths": truths,
    }


def _list_in(value: Any, name: str, column: str) -> list[str]:
    """The texts of a list, which most files hold as the text of one: "['1/8', '.125']". Another text is itself."""
    if isinstance(value, str):
        if not value.strip().startswith("["):
            return [value]
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise InvalidInput(f"{column} of {name} is no list: {shortened(value)}.") from error
    if not isinstance(value, list):
        raise InvalidInput(f"{column} of {name} is no list of texts: {shortened(value)}.")
    return [str(one) for one in value]


def _worded(row: Mapping[str, Any]) -> str:
    if row["type"] == OPEN:
        return f"{row['question']}\n\n{SHORT}"
    options = "".join(f"({letter}) {text}\n" for letter, text in row["options"].items())
    return f"{row['question']}\n\n{options}\n\n{LETTER}"


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    draw = _official_draws() if rule == OFFICIAL else None
    right, unparsed = np.zeros(len(cases)), np.zeros(len(cases), bool)
    for at, case in _in_order(cases):
        if case.id not in answers:
            continue
        if case.meta["type"] == OPEN:
            right[at] = is_open_right(answers[case.id], case.meta["truths"])
            continue
        letter = read_letter(answers[case.id], case.meta["options"])
        unparsed[at] = letter is None
        if letter is None and draw is not None:
            letter = draw(list(case.meta["options"]))
        right[at] = letter in case.meta["truths"]
    kinds = np.array([case.kind for case in cases])
    there = [subject for subject in SUBJECTS if subject in kinds]
    metrics = [Metric("overall", _accuracy(right, kinds, there), None, unparsed)]
    for domain, subjects in DOMAINS.items():
        if own := [subject for subject in subjects if subject in there]:
            metrics.append(Metric(domain, _accuracy(right, kinds, own), np.isin(kinds, own), unparsed))
            metrics += [Metric(name, _accuracy(right, kinds, [name]), kinds == name, unparsed) for name in own]
    notes = [f"{rule}: a letter that cannot be read is drawn by lot, in the order of the subjects."] if draw else []
    return score_table(cases, [case.id in answers for case in cases], rule, metrics, notes)


def _official_draws() -> Callable[[Sequence[str]], str]:
    """The official draws: one generator for all questions, which begins with the same seed."""
    return random.Random(_SEED).choice


def _in_order(cases: Sequence[QuestionCase]) -> list[tuple[int, QuestionCase]]:
    """(place, case) by subjects in alphabetical order, as the official program goes through them."""
    return sorted(enumerate(cases), key=lambda pair: SUBJECTS.index(pair[1].kind))


def _accuracy(right: np.ndarray, kinds: np.ndarray, subjects: Sequence[str]) -> Figure:
    """In per cent, rounded to three places as a share: the subjects' accuracies by their numbers of questions."""
    where = np.stack([kinds == subject for subject in subjects]).astype(float)

    def figure(weights: np.ndarray) -> float:
        counts = where @ weights
        shares = np.divide(where @ (weights * right), counts, out=np.zeros_like(counts), where=counts > 0)
        total = counts.sum()
        return round(100 * round(float(np.cumsum(shares * counts)[-1] / total), 3), 1) if total else np.nan

    return figure


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A folder: <subject>/output.json with all that the official reader wants, and all answers as it reads them."""
    draw, parsed = _official_draws(), {}
    subjects: dict[str, list[dict[str, Any]]] = {}
    for _, case in _in_order(cases):
        if case.id not in answers:
            continue
        name, kind, said, options = case.meta["mmmu_id"], case.meta["type"], answers[case.id], case.meta["options"]
        truths = case.meta["truths"]
        entry = {"id": name, "question_type": kind, "answer": truths[0] if len(truths) == 1 else truths}
        entry |= {"all_choices": list(options), "index2ans": options} if kind == CHOICE else {}
        subjects.setdefault(case.kind, []).append(entry | {"response": said})
        parsed[name] = said if kind == OPEN else read_letter(said, options) or draw(list(options))
    for name, entries in subjects.items():
        write_json(out / name / "output.json", entries)
    write_json(out / TOTAL, parsed)


MMMU = DataSet(
    name="mmmu",
    title="MMMU",
    licence="Apache-2.0",
    source="the hub's MMMU/MMMU (a folder for each subject) or lmms-lab-encoder/MMMU",
    counts={"validation": 900},
    wordings={
        DIRECT: "the options with their letters, or a request for a single word or phrase; its first picture",
        ALL_PICTURES: "the same with every picture that the question has, of which the first is prompted",
        BARE: "the question alone, and its first picture",
    },
    rules={
        OFFICIAL: "accuracy; where an answer names no option, one is drawn by lot",
        UNPARSED_WRONG: "accuracy; an answer that names no option is wrong",
    },
    read=read,
    score=score,
    export=export,
    exported=f"a folder with <subject>/output.json for main_parse_and_eval.py, and {TOTAL} for main_eval_only.py",
)
