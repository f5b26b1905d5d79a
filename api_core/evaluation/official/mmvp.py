"""MMVP (Tong et al., arXiv 2401.06209): pairs of pictures that look alike to CLIP, and a question about both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .choices import chosen, letters_of
from .data_set import Answers, DataSet, Resources, Source, groups_of, require_whole
from .files import field_of, first_below, table_of, write_lines
from .parquet import parquet_files, rows_of
from .pictures import picture_file, write_picture
from .rules import letters
from .score_table import Metric, ScoreTable, mean_of, ratio, score_table

# Questions of two pairs have each other's answer; the copy that is in parquet files has them the right way round.
SWAPPED = frozenset({99, 100, 279, 280})
PLEASE = "\nAnswer only with the option's letter A or B from the given choices directly."
RULES = {
    "cambrian": "whole pairs and single questions; a letter or an option to the letter, as Cambrian's program reads",
    "cambrian/corrected": "the same, with the answers of two pairs whose labels are swapped put right",
    "ours": "whole pairs and single questions; letters and options in whatever words",
    "ours/corrected": "the same, with the answers of two pairs whose labels are swapped put right",
}
_OPTION = re.compile(r"\(([a-z])\)\s*(.*?)\s*(?=\([a-z]\)|$)", re.DOTALL)
_COLUMNS = {
    "number": ("Index", "lndex", "index", "question_id"),
    "question": ("Question", "question"),
    "options": ("Options", "options"),
    "answer": ("Correct Answer", "correct_answer", "answer"),
}


def read(source: Source) -> Iterator[QuestionCase]:
    in_parquet = parquet_files(source.folder)
    if in_parquet:
        path, rows = in_parquet[0], list(rows_of(in_parquet, ("image",)))
    else:
        path = first_below(source.folder, "Questions.csv")
        rows = list(table_of(path))
    for key, row in enumerate(rows):
        number, question, listed, answer = (field_of(path, row, *names) for names in _COLUMNS.values())
        number = _number(path, number)
        options = [text for _, text in _OPTION.findall(str(listed))]
        truth = str(answer).strip().strip("()").upper()
        if len(options) != 2 or truth not in ("A", "B"):
            raise InvalidInput(
                f"{path}, question {number}: not two options (a) and (b) with one right: {shortened(listed)}, {answer}."
            )
        if in_parquet:
            picture = write_picture(row["image"], source.extracted, f"question {number}")
        else:
            picture = picture_file(source.pictures, f"{number}.jpg", "MMVP Images")
        other = {"A": "B", "B": "A"}[truth] if number in SWAPPED else truth
        labels = {"corrected": truth, "original": other} if in_parquet else {"corrected": other, "original": truth}
        asked = {
            "official": f"{question} {listed}",
            "letters": question + letters.lettered(options) + PLEASE,
            "open": question,
        }
        yield QuestionCase(
            id=MMVP.case_id(source.split, key),
            picture=picture,
            question=asked[source.wording],
            query=question,
            kind="MMVP",
            meta={"group": f"pair {(number + 1) // 2}", "number": number, "options": options, **labels},
        )


def _number(path: Path, given: object) -> int:
    try:
        return int(str(given))
    except ValueError as error:
        raise InvalidInput(f"{path} has a row whose number is {shortened(given)!r}.") from error


def _reader(rule: str, text: str, case: QuestionCase) -> str:
    return {"cambrian": letters.cambrian_mmvp, "ours": letters.ours}[rule](text, case.meta["options"])


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    name, _, labels = rule.partition("/")
    said = chosen(cases, answers, lambda text, case: _reader(name, text, case))
    right = (said == letters_of(cases, labels or "original")).astype(float)
    pairs = np.array([numbers for numbers in groups_of(cases).values() if len(numbers) == 2], int).reshape(-1, 2)
    both = right[pairs].min(1) if len(pairs) else np.zeros(0)

    def whole(weights: np.ndarray) -> float:
        counted = weights[pairs].min(1) if len(pairs) else np.zeros(0)
        return ratio(100 * float(counted @ both), counted.sum())

    metrics = [Metric("pairs", whole, unparsed=said == ""), Metric("single", mean_of(right), unparsed=said == "")]
    return score_table(cases, [case.id in answers for case in cases], rule, metrics)


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A line for each answer: which question, what was asked, the answer, the truth as published, the options.

    The program takes every two lines for a pair: InvalidInput where one of them has no answer.
    """
    require_whole(cases, groups_of(cases).values(), answers)
    lines = [
        {"question_id": int(case.meta["number"]) - 1, "prompt": case.question, "answer": answers[case.id]}
        | {"gt_answer": f"({case.meta['original'].lower()})", "text_options": list(case.meta["options"])}
        for case in cases
        if case.id in answers
    ]
    write_lines(out, lines)


MMVP = DataSet(
    name="mmvp",
    title="MMVP",
    licence="see its card",
    source="the hub's MMVP/MMVP (Questions.csv, MMVP Images/) or lmms-lab-eval/MMVP",
    counts={"test": 300},
    wordings={
        "official": "question and options on one line",
        "letters": "lettered options and a request for the letter, as LVLM_Interpretation asks with choices",
        "open": "the question alone",
    },
    rules=RULES,
    read=read,
    score=score,
    export=export,
    exported="lines for Cambrian's mmvp_test.py",
)
