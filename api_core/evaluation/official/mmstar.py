"""MMStar (Chen et al., arXiv 2403.20330): questions that need their picture, in six categories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .choices import chosen, letters_of
from .data_set import Answers, DataSet, Resources, Source
from .files import write_lines
from .parquet import parquet_files, rows_of
from .pictures import write_picture
from .rules import letters
from .score_table import Metric, ScoreTable, masks_of, mean_of, score_table

_LETTERS = "ABCD"
_NEEDED = ("index", "question", "image", "answer", "category", "l2_category")


def read(source: Source) -> Iterator[QuestionCase]:
    files = parquet_files(source.folder)
    if not files:
        raise InvalidInput(f"There is no parquet file in {source.folder}. MMStar is had from {MMSTAR.source}.")
    for row in rows_of(files, _NEEDED):
        index, question, truth = row["index"], row["question"], str(row["answer"]).strip().upper()
        if truth not in list(_LETTERS):
            raise InvalidInput(f"Question {index} of MMStar has the answer {shortened(truth)!r}, not A, B, C or D.")
        picture = write_picture(row["image"], source.extracted, f"question {index}")
        asked = {
            "letters": question + letters.LETTER_PLEASE,
            "bare": question,
            "open": question.split("?")[0] + "?",
        }
        yield QuestionCase(
            id=MMSTAR.case_id(source.split, index),
            picture=picture,
            question=asked[source.wording],
            query=question,
            kind=row["category"],
            meta={"group": picture.name, "number": index, "truth": truth, "part": row["l2_category"]},
        )


def _read_answer(rule: str, text: str) -> str:
    """The options stand in the question alone, so that ours goes by letters only."""
    return letters.mmstar(text, len(_LETTERS)) if rule == "official" else letters.ours(text, [""] * len(_LETTERS))


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    said = chosen(cases, answers, lambda text, case: _read_answer(rule, text))
    right, unparsed = (said == letters_of(cases)).astype(float), said == ""
    kinds, parts = [case.kind for case in cases], [str(case.meta["part"]) for case in cases]
    where = {"total": None, **masks_of(kinds), **masks_of(parts)}
    metrics = [Metric(name, mean_of(right), mask, unparsed, 2) for name, mask in where.items()]
    return score_table(cases, [case.id in answers for case in cases], rule, metrics)


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A line for each answer: index, question, prediction, answer, categories."""
    lines = [
        {"index": case.meta["number"], "question": case.query, "prediction": answers[case.id]}
        | {"answer": case.meta["truth"], "category": case.kind, "l2_category": case.meta["part"]}
        for case in cases
        if case.id in answers
    ]
    write_lines(out, lines)


MMSTAR = DataSet(
    name="mmstar",
    title="MMStar",
    licence="see its card",
    source="the hub's Lin-Chen/MMStar",
    counts={"val": 1500},
    wordings={
        "letters": "the question with its options and a request for the letter",
        "bare": "the question with its options",
        "open": "up to the first question mark, as LVLM_Interpretation asks without choices",
    },
    rules={
        "official": "the letter at the start, also after a bracket, 'option', 'the answer is'; shares of those asked",
        "ours": "letters in whatever words; shares of those asked",
    },
    read=read,
    score=score,
    export=export,
    exported="lines with index, prediction, answer and categories",
)
