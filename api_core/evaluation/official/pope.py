"""POPE (Li et al., arXiv 2305.10355): is there a thing in the picture? Half of the things are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, shortened
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source, require_whole
from .files import field_of, first_below, objects_of, write_lines
from .parquet import parquet_files, rows_of
from .pictures import picture_file, write_picture
from .rules import yes_no
from .score_table import Figure, Metric, ScoreTable, ratio, score_table
from .wordings import SHORT

FAMILIES = ("coco", "aokvqa", "gqa")
DRAWN = ("random", "popular", "adversarial")
Reading = Callable[[str, str], str]
"""Gets an answer and the truth; gives "yes", "no", or "" for an answer that is neither."""


def _blind(read_answer: yes_no.YesNo) -> Reading:
    return lambda text, truth: read_answer(text)


RULES: Mapping[str, tuple[Reading, str]] = {
    "official": (
        _blind(yes_no.pope),
        "before the first full stop the word No, no or not is a no, all else a yes, even NO",
    ),
    "avisc": (
        _blind(yes_no.avisc),
        "as AvisC reads: the words No, no, not, NO or one in n't anywhere are a no, all else a yes",
    ),
    "vcd": (
        yes_no.vcd,
        "as VCD counts: right is what holds the true word, yes or no, anywhere, even in nothing",
    ),
    "ours": (_blind(yes_no.first_word), "the first yes or no in any case; neither counts as wrong, and not as a yes"),
}
_QUESTIONS = 3000
_FOLDERS = ("val2014", "coco/val2014", "gqa/images", "images")


def _parts_of(split: str) -> list[str]:
    """The files that a split is made of, each a family and how its things were drawn: coco-random."""
    everything = [f"{family}-{drawn}" for family in FAMILIES for drawn in DRAWN]
    return everything if split == "all" else [part for part in everything if split in (part, part.partition("-")[0])]


def read(source: Source) -> Iterator[QuestionCase]:
    in_parquet = parquet_files(source.folder)
    for part in _parts_of(source.split):
        rows = _hub_rows(source, part) if in_parquet else _official_rows(source, part)
        for key, picture, name, question, truth in rows:
            if truth not in ("yes", "no"):
                raise InvalidInput(f"Question {key} of {part} has the label {shortened(truth)!r}, not yes or no.")
            yield QuestionCase(
                id=POPE.case_id(part, key),
                picture=picture,
                question=question + (f"\n{SHORT}" if source.wording == "short" else ""),
                query=question,
                answers=(truth,),
                kind=part,
                scorer="yes-no",
                meta={"group": name, "truth": truth, "question_id": key},
            )


Row = tuple[Any, Path, str, str, str]
"""The question's number, its picture and how that is called, the question, the label."""


def _official_rows(source: Source, part: str) -> Iterator[Row]:
    family, drawn = part.split("-")
    path = first_below(source.folder, f"{family}_pope_{drawn}.json", f"{family}_pope_seem_{drawn}.json")
    for entry in objects_of(path):
        key, name, question, truth = (field_of(path, entry, n) for n in ("question_id", "image", "text", "label"))
        yield key, picture_file(source.pictures, name, *_FOLDERS), name, question, str(truth).strip().lower()


def _hub_rows(source: Source, part: str) -> Iterator[Row]:
    family, drawn = part.split("-")
    if family != "coco":
        raise InvalidInput(f"The hub's parquet files hold COCO's questions alone, not {family}'s. Read --split coco.")
    own = parquet_files(source.folder, drawn)
    for row in rows_of(own or parquet_files(source.folder), ("question_id", "image", "question", "answer", "category")):
        if own or row["category"] == drawn:
            name = str(row.get("image_source") or "")
            picture = write_picture(row["image"], source.extracted, f"question {row['question_id']}")
            yield row["question_id"], picture, name or picture.name, row["question"], row["answer"].strip().lower()


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    read_answer, _ = RULES[rule]
    said = np.array([read_answer(answers.get(case.id, ""), case.meta["truth"]) for case in cases])
    truth = np.array([case.meta["truth"] for case in cases])
    kinds = np.array([case.kind for case in cases])
    metrics: list[Metric] = []
    of_family: dict[str, list[dict[str, Figure]]] = {}
    for part in dict.fromkeys(kinds):
        figures = _figures(said, truth, kinds == part)
        of_family.setdefault(part.partition("-")[0], []).append(figures)
        metrics += [Metric(f"{part} {name}", figure, kinds == part, said == "") for name, figure in figures.items()]
    for family, parts in of_family.items():
        where = np.array([kind.startswith(f"{family}-") for kind in kinds])
        for name in ("accuracy", "F1") if len(parts) > 1 else ():
            metrics.append(Metric(f"{family} mean {name}", _mean([one[name] for one in parts]), where, said == ""))
    return score_table(cases, [case.id in answers for case in cases], rule, metrics)


def _figures(said: np.ndarray, truth: np.ndarray, where: np.ndarray) -> dict[str, Figure]:
    """POPE's five figures in per cent; a yes is a positive."""
    wanted, yes = (truth == "yes") & where, (said == "yes") & where
    hit, right = (wanted & yes).astype(float), ((said == truth) & where).astype(float)

    def share(of: np.ndarray, among: np.ndarray) -> Figure:
        return lambda weights: ratio(weights @ of, weights @ among.astype(float))

    precision, recall = share(hit, yes), share(hit, wanted)

    def f1(weights: np.ndarray) -> float:
        exact, found = precision(weights), recall(weights)
        return ratio(2 * exact * found, exact + found)

    figures: dict[str, Callable[[np.ndarray], float]] = {
        "accuracy": share(right, where),
        "precision": precision,
        "recall": recall,
        "F1": f1,
        "yes ratio": share(yes.astype(float), where),
    }
    return {name: _per_cent(figure) for name, figure in figures.items()}


def _per_cent(figure: Figure) -> Figure:
    return lambda weights: figure(weights) * 100


def _mean(figures: Sequence[Figure]) -> Figure:
    return lambda weights: sum(figure(weights) for figure in figures) / len(figures)


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A folder with a file of lines for each part, in the order of its questions, by which alone LLaVA's program takes
    them together with the labels: InvalidInput where an answer is missing to a part that has some."""
    parts: dict[str, list[int]] = {}
    for number, case in enumerate(cases):
        parts.setdefault(case.kind, []).append(number)
    require_whole(cases, parts.values(), answers)
    for part, numbers in parts.items():
        lines = [
            {"question_id": case.meta["question_id"], "question": case.query, "answer": said, "text": said}
            for case in map(cases.__getitem__, numbers)
            if (said := answers.get(case.id)) is not None
        ]
        write_lines(out / f"{part}.jsonl", lines)


POPE = DataSet(
    name="pope",
    title="POPE",
    licence="MIT; the pictures have their own",
    source="POPE's files or VCD's (*_pope_*.json), with the pictures (--pictures) of COCO and GQA, "
    "or the hub's lmms-lab-encoder/POPE",
    counts={
        **dict.fromkeys(FAMILIES, 3 * _QUESTIONS),
        "all": 9 * _QUESTIONS,
        **dict.fromkeys(_parts_of("all"), _QUESTIONS),
    },
    wordings={"bare": "the question alone, as POPE and AvisC ask", "short": "asks for a single word or phrase"},
    rules={name: means for name, (_, means) in RULES.items()},
    read=read,
    score=score,
    export=export,
    exported="a folder with <part>.jsonl: question_id and text, or answer, as programs for POPE take them",
)
