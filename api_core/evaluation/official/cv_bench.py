"""CV-Bench (Tong et al., arXiv 2406.16860): counting and places in 2D, depth and distance in 3D."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .choices import chosen, letters_of
from .data_set import Answers, DataSet, Resources, Source
from .files import field_of, first_below, objects_of, write_lines
from .parquet import rows_of
from .pictures import picture_file, write_picture
from .rules import letters
from .score_table import Figure, Metric, ScoreTable, masks_of, mean_of, score_table

READERS: Mapping[str, Callable[[str, Sequence[str]], str]] = {
    "official": lambda text, options: letters.cambrian(text, len(options)),
    "ours": letters.ours,
}
SOURCES = ("ADE20K", "COCO", "Omni3D")
_TYPES = ("2D", "3D")
_NEEDED = ("idx", "type", "task", "question", "choices", "answer", "prompt", "source")


def read(source: Source) -> Iterator[QuestionCase]:
    for path, row in _rows(source.folder):
        idx, kind, task, question, choices, answer, prompt, origin = (field_of(path, row, name) for name in _NEEDED)
        if source.split in _TYPES and kind != source.split:
            continue
        truth = str(answer).strip("() ")
        if truth not in list(ascii_uppercase[: len(choices)]):
            raise InvalidInput(f"{path}, idx {idx}: the answer {shortened(answer)!r} is none of its choices.")
        if "image" in row:
            picture = write_picture(row["image"], source.extracted, f"idx {idx}")
            group = picture.name
        else:
            group = field_of(path, row, "filename")
            picture = picture_file(source.pictures, group, "img")
        asked = {
            "official": prompt,
            "cambrian": prompt + letters.LETTER_PLEASE,
            "letters": question + letters.lettered(choices) + letters.LETTER_PLEASE,
            "open": question,
        }
        yield QuestionCase(
            id=CV_BENCH.case_id("test", idx),
            picture=picture,
            question=asked[source.wording],
            query=question,
            kind=task,
            meta={
                "group": group,
                "number": idx,
                "truth": truth,
                "options": list(choices),
                "type": kind,
                "source": origin,
            },
        )


def _rows(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """(file, row) of every question: of test.parquet or its two halves, else of the lines of the same names."""
    found = sorted(folder.rglob("test*.parquet"))
    halves = [path for path in found if path.stem != "test"]
    if files := halves or found:
        for path in files:
            for row in rows_of([path], (*_NEEDED, "image")):
                yield path, row
        return
    try:
        files = [first_below(folder, f"test_{kind.lower()}.jsonl") for kind in _TYPES]
    except InvalidInput:
        files = [first_below(folder, "test.jsonl", "test_2d.jsonl", "test_3d.jsonl")]
    for path in files:
        for row in objects_of(path):
            yield path, row


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    reader = READERS[rule]
    said = chosen(cases, answers, lambda text, case: reader(text, case.meta["options"]))
    right, unparsed = (said == letters_of(cases)).astype(float), said == ""
    of_source = masks_of([str(case.meta["source"]) for case in cases])
    metrics = []
    for name, sources in (("combined", SOURCES), ("2D", SOURCES[:2]), ("3D", SOURCES[2:])):
        if own := {one: of_source[one] for one in sources if one in of_source}:
            where = np.any(list(own.values()), axis=0)
            metrics.append(Metric(name, _combined(right, own), where, unparsed, 2))
    for name, where in (*of_source.items(), *masks_of([case.kind for case in cases]).items()):
        metrics.append(Metric(name, mean_of(right), where, unparsed, 2))
    return score_table(cases, [case.id in answers for case in cases], rule, metrics)


def _combined(right: np.ndarray, of_source: Mapping[str, np.ndarray]) -> Figure:
    """The published formula: the mean of 2D, itself the mean of its two sources, and of 3D; of those that are there."""
    share = mean_of(right)

    def figure(weights: np.ndarray) -> float:
        flat = [share(weights * of_source[name]) for name in SOURCES[:2] if name in of_source]
        parts = [sum(flat) / len(flat)] if flat else []
        parts += [share(weights * of_source[name]) for name in SOURCES[2:] if name in of_source]
        return sum(parts) / len(parts)

    return figure


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A line for each answer: which question, what was asked, the answer, the truth, the choices."""
    lines = [
        {"questionId": case.meta["number"], "prompt": case.question, "answer": answers[case.id]}
        | {"gt_answer": f"({case.meta['truth']})", "category": case.kind, "options": list(case.meta["options"])}
        | {"source": case.meta["source"]}
        for case in cases
        if case.id in answers
    ]
    write_lines(out, lines)


CV_BENCH = DataSet(
    name="cv-bench",
    title="CV-Bench",
    licence="Apache 2.0",
    source="the hub's nyu-visionx/CV-Bench (test*.parquet, or test_2d.jsonl, test_3d.jsonl and img/)",
    counts={"test": 2638, "2D": 1438, "3D": 1200},
    wordings={
        "official": "its own prompt, with the choices",
        "cambrian": "its own prompt and a request for the letter, as Cambrian's program asks",
        "letters": "lettered choices and a request for the letter, as LVLM_Interpretation asks with choices",
        "open": "the question alone",
    },
    rules={
        "official": "mean of 2D, the mean of ADE20K and COCO, and 3D; the first letter, as Cambrian reads",
        "ours": "the same means; letters and choices in whatever words",
    },
    read=read,
    score=score,
    export=export,
    exported="lines for Cambrian's ade_test.py, coco_test.py and omni_test.py, each of which takes those of its source",
)
