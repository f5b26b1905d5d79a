"""AMBER (Wang et al., arXiv 2311.07397): what is made up in descriptions, and in answers of yes or no."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import InvalidInput, shortened
from ...whole_file import whole_file
from ..cases import QuestionCase
from .data_set import Answers, DataSet, Resources, Source
from .files import field_of, first_below, objects_of
from .pictures import picture_file
from .rules.nouns import NounCounts, Taggers, count_nouns, installed_taggers, read_word_lists
from .rules.yes_no import YesNo, avisc, exactly, first_word
from .score_table import Figure, Metric, ScoreTable, masks_of, ratio, score_table

GENERATIVE = "generative"
_KINDS = {
    GENERATIVE: GENERATIVE,
    "discriminative-hallucination": "existence",
    "discriminative-attribute-state": "state",
    "discriminative-attribute-number": "number",
    "discriminative-attribute-action": "action",
    "discriminative-relation": "relation",
    "relation": "relation",
}
_ATTRIBUTE = ("state", "number", "action")
PARTS: Mapping[str, Sequence[str]] = {
    "discriminative": ("existence", *_ATTRIBUTE, "relation"),
    "existence": ("existence",),
    "attribute": _ATTRIBUTE,
    **{name: (name,) for name in _ATTRIBUTE},
    "relation": ("relation",),
}
"""What is counted together, and of which kinds of question it is made."""
OURS = "ours"
RULES: Mapping[str, tuple[YesNo, str]] = {
    "official": (
        exactly,
        "as its program counts: exactly Yes or No; nouns by NLTK and spaCy, with its word lists (--data)",
    ),
    "avisc": (avisc, "the same counts, of answers that AvisC's program has read and put as Yes or No"),
    OURS: (first_word, "the same counts, not rounded and from zero; the first yes or no in any case"),
}
# Each of the official program's counters starts here, so that nothing is divided by zero.
_START = 0.001
_BELOW = {"existence": 0.001}
_BELOW_ELSE = 0.0001


def read(source: Source) -> Iterator[QuestionCase]:
    path, notes = first_below(source.folder, "query_all.json"), first_below(source.folder, "annotations.json")
    annotations = {field_of(notes, entry, "id"): entry for entry in objects_of(notes)}
    wanted = {GENERATIVE: (GENERATIVE,), **PARTS}.get(source.split, tuple(_KINDS.values()))
    for entry in objects_of(path):
        number, name, query = (field_of(path, entry, field) for field in ("id", "image", "query"))
        if number not in annotations:
            raise InvalidInput(f"{notes} has no annotation of question {number}, which {path} has.")
        note = annotations[number]
        kind = _KINDS.get(str(field_of(notes, note, "type")))
        truth = field_of(notes, note, "truth")
        if kind is None or (kind != GENERATIVE and truth not in ("yes", "no")):
            raise InvalidInput(f"{notes}, question {number}: an unknown type or truth: {shortened(note)}.")
        if kind in wanted:
            described = {"hallu": field_of(notes, note, "hallu")} if kind == GENERATIVE else {}
            yield QuestionCase(
                id=AMBER.case_id("all", number),
                picture=picture_file(source.pictures, name, "image", "images", "data/image"),
                question=query,
                answers=() if kind == GENERATIVE else (truth,),
                kind=kind,
                scorer="auto" if kind == GENERATIVE else "yes-no",
                meta={"group": name, "number": number, "truth": truth, **described},
            )


def score(cases: Sequence[QuestionCase], answers: Answers, rule: str, resources: Resources) -> ScoreTable:
    kinds = masks_of([case.kind for case in cases])
    answered = np.array([case.id in answers for case in cases])
    metrics: list[Metric] = []
    notes: list[str] = []
    generative: dict[str, Figure] = {}
    if GENERATIVE in kinds and (kinds[GENERATIVE] & answered).any():
        taggers: Taggers = resources.more["taggers"] if "taggers" in resources.more else installed_taggers()
        counts, digest = _counts(cases, answers, resources, taggers)
        generative = _generative(cases, counts, rule)
        notes.append(f"AMBER's words: {digest}; read by {taggers.name}.")
        metrics += [Metric(name, figure, kinds[GENERATIVE]) for name, figure in generative.items()]
    f1: Figure | None = None
    for part, names in PARTS.items():
        if own := [kinds[name] for name in names if name in kinds]:
            figures, unparsed = _discriminative(cases, answers, own, rule, part)
            where = np.any(own, axis=0)
            metrics += [Metric(f"{part} {name}", figure, where, unparsed) for name, figure in figures.items()]
            f1 = figures["F1"] if part == "discriminative" else f1
    if generative and f1 is not None:
        chair, both = generative["CHAIR"], f1
        metrics.append(Metric("AMBER score", lambda weights: (100 - chair(weights) + both(weights)) / 2, digits=2))
    return score_table(cases, list(answered), rule, metrics, notes)


def _counts(
    cases: Sequence[QuestionCase], answers: Answers, resources: Resources, taggers: Taggers
) -> tuple[list[NounCounts], str]:
    """The counts of every description, none for other questions and missing answers; and a digest of AMBER's lists."""
    if resources.folder is None:
        raise InvalidInput("AMBER's descriptions are scored with its own lists of words: name its folder with --data.")
    lists = read_word_lists(resources.folder)
    nothing = NounCounts(0, 0, 0, 0)
    counts = [
        count_nouns(answers[case.id], case.meta["truth"], case.meta["hallu"], lists, taggers)
        if case.kind == GENERATIVE and case.id in answers
        else nothing
        for case in cases
    ]
    return counts, lists.digest


def _generative(cases: Sequence[QuestionCase], counts: Sequence[NounCounts], rule: str) -> dict[str, Figure]:
    """CHAIR, Cover, Hal and Cog in per cent, pooled over all descriptions."""
    described = np.array([case.kind == GENERATIVE for case in cases], float)
    true = np.array([len(case.meta["truth"]) if case.kind == GENERATIVE else 0 for case in cases], float)
    false = np.array([len(case.meta.get("hallu", ())) for case in cases], float)
    nouns, unsaved, covered, told = (
        np.array([getattr(one, name) for one in counts], float) for name in ("nouns", "unsaved", "covered", "made_up")
    )
    clean = described * (unsaved == 0)

    def hal(weights: np.ndarray) -> float:
        if rule != OURS:
            return round(100 - float(weights @ clean) / (float(weights @ described) + _START) * 100, 1)
        return 100 - ratio(weights @ clean, weights @ described) * 100

    return {
        "CHAIR": _share(unsaved, nouns, rule),
        "Cover": _share(covered, true, rule),
        "Hal": hal,
        "Cog": _share(told, false, rule),
    }


def _discriminative(
    cases: Sequence[QuestionCase], answers: Answers, own: Sequence[np.ndarray], rule: str, part: str
) -> tuple[dict[str, Figure], np.ndarray]:
    """Accuracy, and precision, recall and F1 of "no", in per cent, of the kinds whose masks are `own`; and which
    answers the rule cannot read."""
    read_answer, _ = RULES[rule]
    said = np.array([read_answer(answers.get(case.id, "")) for case in cases])
    truth = np.array([str(case.meta["truth"]) for case in cases])
    where = np.any(own, axis=0)
    no, is_no = ((said == "no") & where).astype(float), ((truth == "no") & where).astype(float)
    # All kinds together have counters of their own; the attributes' are those of their three kinds, added up.
    starts = 1 if part == "discriminative" else len(PARTS[part])
    accuracy = _share((said == truth) & where, where, rule, starts)
    precision, recall = _share(no * is_no, no, rule, starts), _share(no * is_no, is_no, rule, starts)

    def f1(weights: np.ndarray) -> float:
        exact, found = precision(weights) / 100, recall(weights) / 100
        if rule != OURS:
            return round(2 * exact * found / (exact + found + _BELOW.get(part, _BELOW_ELSE)) * 100, 1)
        return ratio(2 * exact * found, exact + found) * 100

    return {"accuracy": accuracy, "precision": precision, "recall": recall, "F1": f1}, said == ""


def _share(of: np.ndarray, among: np.ndarray, rule: str, starts: int = 1) -> Figure:
    """Per cent; the official program's are rounded, and so is what it makes of them."""
    part, whole = np.asarray(of, float), np.asarray(among, float)
    if rule != OURS:
        return lambda weights: round(float(weights @ part) / (float(weights @ whole) + starts * _START) * 100, 1)
    return lambda weights: ratio(weights @ part, weights @ whole) * 100


def export(cases: Sequence[QuestionCase], answers: Answers, out: Path) -> None:
    """One JSON array of question numbers and answers."""
    found = [{"id": case.meta["number"], "response": answers[case.id]} for case in cases if case.id in answers]
    with whole_file(out) as part:
        part.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")


AMBER = DataSet(
    name="amber",
    title="AMBER",
    licence="Apache 2.0; the pictures have their own",
    source="its repository (data/query/query_all.json, data/annotations.json) with its pictures in image/ (--pictures)",
    counts={
        "all": 15220,
        GENERATIVE: 1004,
        "discriminative": 14216,
        "existence": 4924,
        "attribute": 7628,
        "state": 4764,
        "number": 2072,
        "action": 792,
        "relation": 1664,
    },
    wordings={"bare": "the query alone"},
    rules={name: means for name, (_, means) in RULES.items()},
    read=read,
    score=score,
    export=export,
    exported="the JSON array that inference.py takes",
)
