"""MM-Vet (Yu et al., arXiv 2308.02490): free answers that need several capabilities at once, marked by a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source
from .files import field_of, first_below, json_of, write_json
from .judge import judge_note, verdicts_in
from .parquet import parquet_files, rows_of
from .pictures import picture_file, write_picture
from .rules.judge_prompts import MmVetJudging
from .rules.judged import mark_of, percent, read_mark
from .score_table import Figure, Metric, ScoreTable, score_table

FILE = "mm-vet.json"
OFFICIAL = "official"


def read(source: Source) -> Iterator[QuestionCase]:
    files = parquet_files(source.folder)
    rows = _hub_rows(source, files) if files else _official_rows(source)
    for key, picture, entry in rows:
        capabilities = sorted(entry["capability"])
        yield QuestionCase(
            id=MM_VET.case_id(source.split, key),
            picture=picture,
            question=str(entry["question"]),
            kind="_".join(capabilities),
            meta={"group": picture.name, "truth": str(entry["answer"]), "capabilities": capabilities},
        )


def _official_rows(source: Source) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    path = first_below(source.folder, FILE)
    found = json_of(path)
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is no object in braces, with v1_0, v1_1 and so on in it: {shortened(found)}.")
    for key, entry in found.items():
        names = ("question", "answer", "capability", "imagename")
        kept = {name: field_of(path, entry, name) for name in names}
        yield key, picture_file(source.pictures, str(kept["imagename"]), "images"), kept


def _hub_rows(source: Source, files: Sequence[Path]) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    for row in rows_of(files, ("question_id", "image", "question", "answer", "capability")):
        key = str(row["question_id"])
        listed = row["capability"].split(",") if isinstance(row["capability"], str) else row["capability"]
        capabilities = [one.strip() for one in listed]
        yield key, write_picture(row["image"], source.extracted, key), row | {"capability": capabilities}


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    verdicts = verdicts_in(resources, "MM-Vet")
    marks, unparsed = np.zeros((len(cases), verdicts.runs)), np.zeros(len(cases), bool)
    for at, case in enumerate(cases):
        if said := verdicts.said.get(case.id):
            marks[at] = [mark_of(replies) for replies in said]
            unparsed[at] = any(read_mark(replies[-1]) is None for replies in said)
    metrics = [Metric("total", _mean(marks), None, unparsed)]
    if verdicts.runs > 1:
        metrics.append(Metric(f"total, spread of {verdicts.runs} verdicts", _spread(marks)))
    own = [set(case.meta["capabilities"]) for case in cases]
    parts = {one: [one in needed for needed in own] for one in sorted(set().union(*own))}
    for kind in dict.fromkeys(case.kind for case in cases):
        parts[f"exactly {kind}"] = [case.kind == kind for case in cases]
    metrics += [Metric(name, _mean(marks), np.array(where), unparsed) for name, where in parts.items()]
    notes = [judge_note(verdicts, JUDGING)]
    return score_table(cases, [case.id in answers for case in cases], rule, metrics, notes)


def _mean(marks: np.ndarray) -> Figure:
    return lambda weights: float(np.round(percent(marks, weights).mean(), 1)) if weights.sum() else np.nan


def _spread(marks: np.ndarray) -> Figure:
    """The standard deviation of the runs' totals."""
    return lambda weights: float(np.round(percent(marks, weights).std(), 1)) if weights.sum() else np.nan


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    write_json(out, {case.id.rpartition("/")[2]: answers[case.id] for case in cases if case.id in answers})


JUDGING = MmVetJudging()

MM_VET = DataSet(
    name="mm-vet",
    title="MM-Vet",
    licence="CC BY-NC 4.0",
    source=f"its authors ({FILE} beside the folder images), or the hub's lmms-lab-encoder/MMVet",
    counts={"test": 218},
    wordings={"bare": "the question alone"},
    rules={OFFICIAL: "the mean of a judge's marks, in all, of each capability, and of each set of them"},
    read=read,
    score=score,
    export=export,
    exported="JSON for mm-vet_evaluator.py",
    judging=JUDGING,
)
