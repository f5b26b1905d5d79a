"""MME (Fu et al., arXiv 2306.13394): two yes-or-no questions about each picture, in fourteen subtasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import InvalidInput, shortened
from ...whole_file import whole_file
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source, groups_of, require_whole
from .files import text_of
from .parquet import parquet_files, rows_of
from .pictures import write_picture
from .rules.yes_no import YesNo, avisc, first_four, first_word
from .score_table import Figure, Metric, ScoreTable, mean_of, ratio, score_table
from .wordings import SHORT

PERCEPTION = ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
# The subtasks whose questions the published program for attention prompting reads; the others lie in folders, or have
# pictures, that it does not find.
OF_API = ("existence", "count", "position", "color", "OCR")
API_280 = "api-280"
_COUNTED = "accuracy and accuracy of whole pictures per subtask, 200 at most, and their sums"
RULES: Mapping[str, tuple[YesNo, str]] = {
    "official": (first_four, f"{_COUNTED}; yes or no in the first four characters"),
    "avisc": (avisc, f"{_COUNTED}; yes or no as one of AvisC's programs reads and rewrites answers"),
    "ours": (first_word, f"{_COUNTED}; the first yes or no in any case"),
    API_280: (first_four, "accuracy on the five subtasks that the published program for attention prompting reads"),
}


def read(source: Source) -> Iterator[QuestionCase]:
    files = parquet_files(source.folder)
    rows = _hub_rows(source, files) if files else _official_rows(source.folder)
    for number, (subtask, name, picture, question, truth) in enumerate(rows):
        yield QuestionCase(
            id=MME.case_id(source.split, number),
            picture=picture,
            question=question + (f" {SHORT}" if source.wording == "short" else ""),
            query=question,
            answers=(truth,),
            kind=subtask,
            scorer="yes-no",
            meta={"group": f"{subtask}/{name}", "truth": truth.lower()},
        )


Row = tuple[str, str, Path, str, str]
"""The subtask, the picture's name there, the picture, the question, the answer."""


def _official_rows(folder: Path) -> Iterator[Row]:
    inside = folder / "MME_Benchmark_release_version"
    top = inside if inside.is_dir() else folder
    for subtask in (*PERCEPTION, *COGNITION):
        here = top / subtask
        parted = (here / "images").is_dir()
        texts = sorted((here / "questions_answers_YN" if parted else here).glob("*.txt"))
        pictures = {
            path.stem: path for path in (here / "images" if parted else here).glob("*.*") if path.suffix != ".txt"
        }
        for text in texts:
            lines = [line for line in text_of(text).split("\n") if line.strip()]
            for line in lines:
                question, tab, truth = line.strip().partition("\t")
                if not tab or truth.strip().lower() not in ("yes", "no"):
                    raise InvalidInput(f"{text} has a line that is no question, tab, Yes or No: {shortened(line)}.")
                picture = pictures.get(text.stem, here / ("images" if parted else ".") / f"{text.stem}.jpg")
                yield subtask, picture.name, picture, question, truth.strip()


def _hub_rows(source: Source, files: Sequence[Path]) -> Iterator[Row]:
    for row in rows_of(files, ("question_id", "image", "question", "answer", "category")):
        picture = write_picture(row["image"], source.extracted, str(row["question_id"]))
        yield row["category"], str(row["question_id"]).rpartition("/")[2], picture, row["question"], row["answer"]


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    read_answer, _ = RULES[rule]
    said = [read_answer(answers.get(case.id, "")) for case in cases]
    right = np.array([word == case.meta["truth"] for word, case in zip(said, cases, strict=True)])
    unparsed = np.array([not word for word in said])
    kinds = np.array([case.kind for case in cases])
    answered = [case.id in answers for case in cases]
    if rule == API_280:
        where = np.isin(kinds, OF_API)
        return score_table(cases, answered, rule, [Metric("accuracy", mean_of(right), where, unparsed, 2)])
    pairs = _pairs(cases)
    of = {name: _subtask(right, kinds == name, pairs) for name in (*PERCEPTION, *COGNITION) if name in kinds}
    metrics = [
        Metric(part, _sum([of[name] for name in names if name in of]), np.isin(kinds, names), unparsed, 2)
        for part, names in (("perception", PERCEPTION), ("cognition", COGNITION))
    ]
    metrics += [Metric(name, figure, kinds == name, unparsed, 2) for name, figure in of.items()]
    return score_table(cases, answered, rule, metrics)


def _pairs(cases: Sequence[QuestionCase]) -> np.ndarray:
    """The numbers of the two questions of each picture: [pairs, 2]."""
    found = groups_of(cases)
    odd = [group for group, numbers in found.items() if len(numbers) != 2]
    if odd:
        raise InvalidInput(f"MME has two questions a picture, but {shortened(odd[0])} has {len(found[odd[0]])}.")
    return np.array(list(found.values())).reshape(-1, 2)


def _subtask(right: np.ndarray, where: np.ndarray, pairs: np.ndarray) -> Figure:
    """Per cent of the questions that are right, plus per cent of the pictures both of whose questions are."""
    own = pairs[where[pairs[:, 0]]]
    both, single = right[own].all(1).astype(float), (right & where).astype(float)

    def figure(weights: np.ndarray) -> float:
        counted = weights[own].min(1)
        return ratio(weights @ single, weights[where].sum()) * 100 + ratio(counted @ both, counted.sum()) * 100

    return figure


def _sum(figures: Sequence[Figure]) -> Figure:
    return lambda weights: sum(figure(weights) for figure in figures)


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """A folder with a file for each subtask: picture, question, truth, answer between tabs, on one line each.

    The program takes every two lines for the questions about one picture: InvalidInput where one of them has no answer.
    """
    require_whole(cases, groups_of(cases).values(), answers)
    for subtask in dict.fromkeys(case.kind for case in cases):
        own = [case for case in cases if case.kind == subtask and case.id in answers]
        lines = [
            "\t".join((str(case.meta["group"]).partition("/")[2], case.query, *case.answers, _flat(answers[case.id])))
            for case in own
        ]
        with whole_file(out / f"{subtask}.txt") as part:
            part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _flat(text: str) -> str:
    """The official program takes lines apart at tabs: each tab and line break becomes a blank."""
    return text.translate(dict.fromkeys(map(ord, "\t\r\n"), " "))


MME = DataSet(
    name="mme",
    title="MME",
    licence="on request, for research",
    source="its authors (MME_Benchmark_release_version), or the hub's lmms-lab-encoder/MME",
    counts={"test": 2374},
    wordings={"short": "asks for a single word or phrase", "bare": "the question alone"},
    rules={name: means for name, (_, means) in RULES.items()},
    read=read,
    score=score,
    export=export,
    exported="a folder with <subtask>.txt for calculation.py",
)
