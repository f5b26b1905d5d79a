"""TextVQA (Singh et al., arXiv 1904.08920): questions about what is written in a picture, with ten answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source
from .files import field_of, first_below, json_of, write_lines
from .parquet import parquet_files, rows_of
from .pictures import picture_file, write_picture
from .rules.vqa_text import PEOPLE, m4c_accuracy, vqa_v2_accuracy
from .score_table import Figure, Metric, ScoreTable, ratio, score_table
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


def ten_answers(entry: dict[str, Any], of: str) -> list[str]:
    """The answers of ten people, texts or objects with an `answer`. InvalidInput for any other number of them."""
    given = entry.get("answers")
    listed = given if isinstance(given, list) else []
    plain = (one.get("answer") if isinstance(one, dict) else one for one in listed)
    said = [one for one in plain if isinstance(one, str)]
    if len(said) != PEOPLE:
        raise InvalidInput(f"{of} has the answers of {len(said)} people, not of {PEOPLE}: {shortened(given)}.")
    return said


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    accuracy = {OFFICIAL: m4c_accuracy, VQA_V2: vqa_v2_accuracy}[rule]
    shares = np.array([accuracy(answers.get(case.id, ""), case.meta["answers"]) for case in cases])
    metric = Metric("accuracy", (m4c_mean if rule == OFFICIAL else vqa_mean)(shares), digits=2)
    return score_table(cases, [case.id in answers for case in cases], rule, [metric])


def m4c_mean(shares: np.ndarray) -> Figure:
    """Their mean in per cent, added up one after the other: many figures are exactly between two that are printed."""

    def figure(weights: np.ndarray) -> float:
        return 100 * ratio(np.cumsum(weights * shares)[-1], weights.sum())

    return figure


def vqa_mean(shares: np.ndarray) -> Figure:
    """The same as VQA's programs round it."""

    def figure(weights: np.ndarray) -> float:
        return round(ratio(100 * np.cumsum(weights * shares)[-1], weights.sum()), 2)

    return figure


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
