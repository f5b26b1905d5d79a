"""LLaVA-Bench in the Wild (Liu et al., arXiv 2304.08485): free answers to 60 questions about 24 pictures, which a
model compares with those that GPT-4 made of captions of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source, require_whole
from .files import field_of, first_below, objects_of, write_lines
from .judge import judge_note, verdicts_in
from .parquet import parquet_files, rows_of
from .pictures import picture_file, write_picture
from .rules.judge_prompts import LLAVA_BENCH_KINDS, LlavaBenchJudging
from .rules.judged import FAILED, Relative, read_pair, relative
from .score_table import Figure, Metric, ScoreTable, score_table

OFFICIAL, WITHOUT_FAILURES = "official", "without-failures"


def read(source: Source) -> Iterator[QuestionCase]:
    files = parquet_files(source.folder)
    rows = _hub_rows(source, files) if files else _official_rows(source)
    for picture, entry in rows:
        kind = str(entry["category"])
        if kind not in LLAVA_BENCH_KINDS:
            raise InvalidInput(
                f"A question has the category {shortened(kind)!r}; known: {', '.join(LLAVA_BENCH_KINDS)}."
            )
        yield QuestionCase(
            id=LLAVA_BENCH.case_id(source.split, entry["question_id"]),
            picture=picture,
            question=str(entry["question"]),
            kind=kind,
            meta={
                "group": str(entry["name"]),
                "question_id": entry["question_id"],
                "caption": entry["caption"],
                "reference": str(entry["reference"]),
            },
        )


def _official_rows(source: Source) -> Iterator[tuple[Path, dict[str, Any]]]:
    paths = [first_below(source.folder, name) for name in ("questions.jsonl", "context.jsonl", "answers_gpt4.jsonl")]
    questions, contexts, references = map(objects_of, paths)
    captions = {field_of(paths[1], one, "image"): field_of(paths[1], one, "caption") for one in contexts}
    texts = {field_of(paths[2], one, "question_id"): field_of(paths[2], one, "text") for one in references}
    for one in questions:
        number, name = field_of(paths[0], one, "question_id"), field_of(paths[0], one, "image")
        for path, key, known in ((paths[1], name, captions), (paths[2], number, texts)):
            if key not in known:
                raise InvalidInput(f"{path} has nothing on {shortened(key)}, which question {number} is about.")
        entry = {"question_id": number, "name": name, "question": field_of(paths[0], one, "text")}
        entry |= {"category": field_of(paths[0], one, "category")}
        yield (
            picture_file(source.pictures, str(name), "images"),
            entry | {"caption": captions[name], "reference": texts[number]},
        )


def _hub_rows(source: Source, files: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for row in rows_of(files, ("question_id", "question", "image", "category", "caption", "gpt_answer")):
        picture = write_picture(row["image"], source.extracted, f"question {row['question_id']}")
        yield picture, row | {"name": picture.name, "reference": row["gpt_answer"]}


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    verdicts = verdicts_in(resources, "LLaVA-Bench")
    pairs = np.full((len(cases), verdicts.runs, 2), FAILED)
    for at, case in enumerate(cases):
        if case.id in verdicts.said:
            pairs[at] = [read_pair(replies[-1]) for replies in verdicts.said[case.id]]
    unread = (pairs == FAILED).all(2)
    counts = np.ones_like(unread) if rule == OFFICIAL else ~unread
    kinds = np.array([case.kind for case in cases])
    metrics = []
    for kind in ("all", *(kind for kind in LLAVA_BENCH_KINDS if kind in kinds)):
        where = None if kind == "all" else kinds == kind
        for name, take in _FIGURES.items():
            metrics.append(Metric(f"{kind}{name}", _figure(pairs, counts, take), where, unread.any(1)))
    notes = [judge_note(verdicts, JUDGING)]
    if rule == OFFICIAL and unread.any():
        notes.append(f"{rule}: {unread.sum()} replies without two marks count as -1 and -1, in both means.")
    return score_table(cases, [case.id in answers for case in cases], rule, metrics, notes)


_FIGURES: dict[str, Callable[[Relative], float]] = {
    "": lambda one: one.percent,
    ", reference": lambda one: one.reference,
    ", model": lambda one: one.model,
}
"""What is printed of the answers of a category: the score, and the mean marks times 10 that it is made of."""


def _figure(pairs: np.ndarray, counts: np.ndarray, take: Callable[[Relative], float]) -> Figure:
    """Over all runs of the judge. pairs: [cases, runs, 2]; counts: which of them do [cases, runs]."""

    def figure(weights: np.ndarray) -> float:
        return take(relative(pairs.reshape(-1, 2), (counts * weights[:, None]).ravel()))

    return figure


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A line for each answer. The official program asks for an `answer_id`, and takes an empty one.

    Raises InvalidInput where an answer is missing: the program takes the lines of questions and answers together by
    their order alone.
    """
    require_whole(cases, [range(len(cases))], answers)
    further = {"answer_id": "", "model_id": "", "metadata": {}}
    write_lines(
        out,
        [
            {"question_id": case.meta["question_id"], "prompt": case.question, "text": answers[case.id], **further}
            for case in cases
        ],
    )


JUDGING = LlavaBenchJudging()

LLAVA_BENCH = DataSet(
    name="llava-bench",
    title="LLaVA-Bench in the Wild",
    licence="as its card says",
    source="the hub's liuhaotian/llava-bench-in-the-wild or lmms-lab-encoder/llava-bench-in-the-wild",
    counts={"test": 60},
    wordings={"bare": "the question alone"},
    rules={
        OFFICIAL: "a judge's marks for the model in per cent of those for the reference; unreadable ones count as -1",
        WITHOUT_FAILURES: "the same without what the judge said unreadably",
    },
    read=read,
    score=score,
    export=export,
    exported="JSON lines for LLaVA's eval_gpt_review_bench.py",
    judging=JUDGING,
)
