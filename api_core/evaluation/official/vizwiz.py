"""VizWiz (Gurari et al., arXiv 1802.08218): questions that blind people asked about their photographs, many of which
nobody can answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source
from .files import field_of, first_below, objects_of, write_json
from .parquet import parquet_files, rows_of
from .pictures import picture_file, write_picture
from .rules.vqa_text import m4c_accuracy, m4c_form, plain_form, vizwiz_accuracy
from .score_table import Figure, Metric, ScoreTable, ratio, score_table
from .ten_people import m4c_mean, ten_answers, vqa_mean
from .wordings import SHORT

OFFICIAL, M4C = "official", "m4c"
UNANSWERABLE = "unanswerable"
HINT = "When the provided information is insufficient, respond with 'Unanswerable'."


def read(source: Source) -> Iterator[QuestionCase]:
    files = parquet_files(source.folder, source.split)
    rows = _hub_rows(source, files) if files else _official_rows(source)
    for number, (picture, entry) in enumerate(rows):
        question = str(entry["question"])
        yield QuestionCase(
            id=VIZWIZ.case_id(source.split, number),
            picture=picture,
            question=f"{question} {HINT} {SHORT}" if source.wording == "short" else question,
            query=question,
            kind=str(entry.get("answer_type") or entry.get("category") or ""),
            meta={"group": entry["name"], **_truth(entry, source.split, number)},
        )


def _official_rows(source: Source) -> Iterator[tuple[Path, dict[str, Any]]]:
    path = first_below(source.folder, f"{source.split}.json")
    for entry in objects_of(path):
        name = str(field_of(path, entry, "image"))
        entry |= {"name": name, "question": field_of(path, entry, "question")}
        yield picture_file(source.pictures, name, source.split), entry


def _hub_rows(source: Source, files: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for row in rows_of(files, ("image", "question_id", "question")):
        name = str(row["question_id"])
        yield write_picture(row["image"], source.extracted, name), row | {"name": name}


def _truth(entry: dict[str, Any], split: str, number: int) -> dict[str, Any]:
    """The answers of ten people, and whether there is one at all; nothing for the test split, whose truth is kept."""
    if split == "test":
        return {}
    kind = entry.get("answer_type") or entry.get("category")
    answerable = entry.get("answerable", int(kind != UNANSWERABLE) if kind else None)
    told = {} if answerable is None else {"answerable": int(answerable)}
    return {"answers": ten_answers(entry, f"question {number}"), **told}


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    if any("answers" not in case.meta for case in cases):
        raise InvalidInput(
            "Nobody but VizWiz's server knows the answers of its test split: `export`, and send it those."
        )
    accuracy, form, mean = {
        OFFICIAL: (vizwiz_accuracy, plain_form, vqa_mean),
        M4C: (m4c_accuracy, m4c_form, m4c_mean),
    }[rule]
    shares = np.array([accuracy(answers.get(case.id, ""), case.meta["answers"]) for case in cases])
    kinds = np.array([case.kind for case in cases])
    metrics = [Metric("accuracy", mean(shares), digits=2)]
    named = [kind for kind in dict.fromkeys(kinds.tolist()) if kind]
    metrics += [Metric(kind, mean(shares), kinds == kind, digits=2) for kind in named]
    if all("answerable" in case.meta for case in cases):
        cannot = np.array([not case.meta["answerable"] for case in cases], float)
        said = np.array([form(answers.get(case.id, "")) == UNANSWERABLE for case in cases], float)
        metrics += [
            Metric("unanswerable, average precision", _average_precision(cannot, said), digits=2),
            Metric("unanswerable, F1", _f1(cannot, said), digits=2),
        ]
    return score_table(cases, [case.id in answers for case in cases], rule, metrics)


def _average_precision(cannot: np.ndarray, said: np.ndarray) -> Figure:
    """The area under precision over recall. A text is sure or not, so there are two steps: those said, and all."""

    def figure(weights: np.ndarray) -> float:
        found, base = weights @ (cannot * said), ratio(weights @ cannot, weights.sum())
        recall = found / (weights @ cannot) if weights @ cannot else 0.0
        precision = found / (weights @ said) if weights @ said else 0.0
        return round(100 * float(recall * precision + (1 - recall) * base), 2)

    return figure


def _f1(cannot: np.ndarray, said: np.ndarray) -> Figure:
    def figure(weights: np.ndarray) -> float:
        both = weights @ cannot + weights @ said
        return round(100 * 2 * float(weights @ (cannot * said)) / both, 2) if both else 0.0

    return figure


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    answered = [case for case in cases if case.id in answers]
    write_json(out, [{"image": case.meta["group"], "answer": answers[case.id]} for case in answered])


VIZWIZ = DataSet(
    name="vizwiz",
    title="VizWiz",
    licence="CC BY 4.0",
    source="its authors (val.json beside the folder val), or the hub's lmms-lab-encoder/VizWiz-VQA",
    counts={"val": 4319, "test": 8000},
    wordings={
        "short": "says when to answer Unanswerable, and asks for a single word or phrase",
        "bare": "the question alone",
    },
    rules={
        OFFICIAL: "the share of people who said the same, the truth as it is; and who can tell what has no answer",
        M4C: "the same with answer and truth in TextVQA's form, as LLaVA has it",
    },
    read=read,
    score=score,
    export=export,
    exported="a JSON array for the challenge's server",
)
