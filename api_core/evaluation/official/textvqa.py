"""TextVQA (Singh et al., arXiv 1904.08920): questions about what is written in a picture, with ten answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source
from .files import field_of, first_below, json_of, write_lines
from .parquet import parquet_files, rows_of
from .pictures import picture_file, write_picture
from .rules.vqa_text import m4c_accuracy, vqa_v2_accuracy
from .score_table import Metric, ScoreTable, score_table
from .ten_people import m4c_mean, ten_answers, vqa_mean
from .wordings import SHORT

FILE = "TextVQA_0.5.1_val.json"
OFFICIAL, VQA_V2 = "official", "vqa-v2"


def read(source: Source) -> Iterator[QuestionCase]:
    files = parquet_files(source.folder, "validation")
    rows = _hub_rows(source, files) if files else _official_rows(source)
    for number, (picture, entry) in enumerate(rows):
        question = str(entry["question"])
        yield QuestionCase(
            id=TEXTVQA.case_id(source.split, number),
            picture=picture,
            question=f"{question} {SHORT}" if source.wording == "short" else question,
            query=question,
            meta={"group": str(entry["image_id"]), "answers": ten_answers(entry, f"question {number}")},
        )


def _official_rows(source: Source) -> Iterator[tuple[Path, dict[str, Any]]]:
    path = first_below(source.folder, FILE)
    for entry in field_of(path, json_of(path), "data"):
        entry |= {name: field_of(path, entry, name) for name in ("question", "image_id", "answers")}
        yield picture_file(source.pictures, f"{entry['image_id']}.jpg", "train_images"), entry


def _hub_rows(source: Source, files: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for row in rows_of(files, ("image", "image_id", "question", "answers")):
        yield write_picture(row["image"], source.extracted, str(row["image_id"])), row


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    accuracy = {OFFICIAL: m4c_accuracy, VQA_V2: vqa_v2_accuracy}[rule]
    # The program knows a question by its picture and its words: of two alike the people of the last count for both.
    keys = [(case.meta["group"], case.map_query.lower()) if rule == OFFICIAL else case.id for case in cases]
    people = {key: case.meta["answers"] for key, case in zip(keys, cases, strict=True)}
    shares = np.array([accuracy(answers.get(case.id, ""), people[key]) for key, case in zip(keys, cases, strict=True)])
    metric = Metric("accuracy", (m4c_mean if rule == OFFICIAL else vqa_mean)(shares), digits=2)
    return score_table(cases, [case.id in answers for case in cases], rule, [metric])


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A line for each answer; the program finds the question by its picture and by the first line of its prompt."""
    write_lines(
        out,
        [
            {"question_id": case.meta["group"], "prompt": f"{case.query}\n{SHORT}", "text": answers[case.id]}
            for case in cases
            if case.id in answers
        ],
    )


TEXTVQA = DataSet(
    name="textvqa",
    title="TextVQA",
    licence="CC BY 4.0",
    source=f"its authors ({FILE} beside train_images), or the hub's lmms-lab-encoder/textvqa",
    counts={"val": 5000},
    wordings={"short": "asks for a single word or phrase", "bare": "the question alone"},
    rules={
        OFFICIAL: "m4c: how many people said the same, answer and truth in one form; four of ten are wholly right",
        VQA_V2: "the same with the form of VQAv2, and texts as they are where all people agree",
    },
    read=read,
    score=score,
    export=export,
    exported="JSON lines for LLaVA's eval_textvqa.py",
)
