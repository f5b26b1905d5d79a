"""Yes/no questions about what is there and what is not: what is asked, how answers are read, and the tables."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack.api_core.answering import Answer, Decoding, Greedy, Sample
from pack.api_core.evaluation.benchmark.hallucination import (
    ABSENT,
    COUNTED_SCENES,
    DRAWN,
    GREEDY,
    PER_KIND,
    PRESENT,
    SEEDS,
    AskPresence,
    DecodingArm,
    _found_figures,
    existence_questions,
    hallucination,
    presence_table,
    says_yes,
)
from pack.api_core.evaluation.benchmark.splits import EASY, HARD, drawn_scenes
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.progress import Progress, ignore_progress
from pack.api_core.scenes import make_scene

CASES = existence_questions(HARD, "development", 6)


def words(case: QuestionCase) -> tuple[str, str]:
    colour, shape = case.question.removesuffix("?").split()[-2:]
    return colour, shape


@pytest.mark.parametrize("split", [HARD, EASY])
def test_what_is_asked_is_there_or_not_as_its_kind_says(split: Any) -> None:
    cases = existence_questions(split, "development", 6)
    for case in cases:
        scene = make_scene(case.picture.number, case.picture.stream, case.picture.options)  # type: ignore[union-attr]
        there = {(item.colour, item.shape) for item in scene.objects}
        assert (words(case) in there) == (case.kind == PRESENT) == (case.answers == ("yes",))
        assert bool(case.boxes) == (case.kind == PRESENT)
        if case.kind == "adversarial":
            assert words(case)[0] in {colour for colour, _ in there}
    kinds = [case.kind for case in cases]
    assert all(kinds.count(kind) == PER_KIND * 6 for kind in ("random", "popular"))
    assert len({case.id for case in cases}) == len(cases)
    assert cases == existence_questions(split, "development", 6)


def test_absent_things_that_lie_near_cross_what_is_there_wherever_they_can() -> None:
    for case in CASES:
        if case.kind == "adversarial":
            scene = make_scene(case.picture.number, case.picture.stream, case.picture.options)  # type: ignore[union-attr]
            there = {(item.colour, item.shape) for item in scene.objects}
            colours, shapes = zip(*there, strict=True)
            crossed = [(c, s) for c in set(colours) for s in set(shapes) if (c, s) not in there]
            assert words(case) in crossed or len(crossed) < PER_KIND


def test_popular_things_are_those_that_scenes_show_most_however_many_are_asked_about() -> None:
    shown: dict[tuple[str, str], int] = {}
    for _, drawn in islice(drawn_scenes(HARD, "development"), COUNTED_SCENES):
        for pair in {(item.colour, item.shape) for item in drawn.scene.objects}:
            shown[pair] = shown.get(pair, 0) + 1
    popular = [shown.get(words(case), 0) for case in CASES if case.kind == "popular"]
    by_lot = [shown.get(words(case), 0) for case in CASES if case.kind == "random"]
    assert np.mean(popular) > np.mean(by_lot) + 1
    assert existence_questions(HARD, "development", 3) == CASES[: 3 * PER_KIND * (1 + len(ABSENT))]


@pytest.mark.parametrize(
    ("text", "yes"),
    [("yes", True), ("No.", False), ("there is not", False), ("it isn't", False), ("", True), ("a red star", True)],
)
def test_whatever_does_not_deny_is_a_yes(text: str, yes: bool) -> None:
    assert says_yes(text) is yes


def knowing(cases: Sequence[QuestionCase], calls: list[tuple[int, Decoding]]) -> Any:
    """Greedily it knows; drawn, it always says yes."""
    known = {(case.question, float(case.load().sum())): case.answers[0] for case in cases}

    def answer(pictures: Any, questions: Sequence[str], decoding: Decoding, on_progress: Progress) -> list[Answer]:
        calls.append((len(questions), decoding))
        on_progress(0, 1)
        said = [known[question, float(picture.sum())] for picture, question in zip(pictures, questions, strict=True)]
        return [Answer(one if decoding == Greedy() else "Yes", "", "", decoding, True) for one in said]

    return answer


WAYS = (
    DecodingArm("greedy", lambda seed: Greedy()),
    DecodingArm("other", lambda seed: Sample(2.0, seed=seed)),
    DecodingArm("drawn", lambda seed: Sample(1.0, seed=seed), len(SEEDS)),
)


def test_draws_have_seeds_of_their_pictures_whatever_the_batch() -> None:
    calls: list[tuple[int, Decoding]] = []
    work = AskPresence(knowing(CASES, calls), WAYS, seed=5)
    together = work(CASES, ignore_progress)
    seeds = [decoding.seed for count, decoding in calls if getattr(decoding, "temperature", 0) == 1.0]  # type: ignore[attr-defined]
    assert len(seeds) == len(set(seeds)) == len(SEEDS) * 6
    calls.clear()
    work(CASES[3:5], ignore_progress)
    again = [decoding.seed for count, decoding in calls if getattr(decoding, "temperature", 0) == 1.0]  # type: ignore[attr-defined]
    assert again == [seeds[0], seeds[6], seeds[12]]
    assert [record["yes"]["greedy"] for record in together] == [[case.answers == ("yes",)] for case in CASES]
    assert all(record["yes"]["drawn"] == [True] * len(SEEDS) for record in together)


def test_the_table_of_a_model_that_knows_and_of_one_that_always_agrees() -> None:
    records = AskPresence(knowing(CASES, []), WAYS)(CASES, ignore_progress)
    table = presence_table("T", CASES, records, WAYS)
    assert len(table.rows) == len(ABSENT) * len(WAYS)
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    for kind in ABSENT:
        assert rows[kind, "greedy"] == ("100.0 ± 0.0", "", "100.0 ± 0.0", "100.0 ± 0.0", "100.0 ± 0.0", "50.0 ± 0.0")
        right, difference, precision, recall, f1, yes = rows[kind, "drawn"]
        assert (right, difference, yes) == ("50.0 ± 0.0", "", "100.0 ± 0.0")
        assert (precision, recall, f1) == ("50.0 ± 0.0", "100.0 ± 0.0", "66.7 ± 0.0")
        assert rows[kind, "other"][1] == "-50.0 ± 0.0"
    lame = [{"error": "x"}, *records[1:]]
    assert "1 questions failed" in presence_table("T", CASES, lame, WAYS).notes[1]


def test_figures_by_hand() -> None:
    truth = np.array([True, True, False, False, True])
    yes = np.array([[1, 1], [1, 0], [1, 1], [0, 0], [0, 0]], float)
    # Hits 1.5, false alarms 1, misses 1.5: precision .6, recall .5, F1 3 / 5.5.
    shown = [text.split(" ± ")[0] for text in _found_figures(truth, yes, [0, 0, 1, 1, 2])]
    assert shown == ["60.0", "50.0", "54.5"]


@pytest.mark.slow
def test_a_small_run_keeps_its_results_and_goes_on_from_them(tmp_path: Path) -> None:
    cases = existence_questions(HARD, "test", 2)
    calls: list[tuple[int, Decoding]] = []
    given = {"model": "known", "scenes": 2, "ways": WAYS, "folder": tmp_path}
    tables = hallucination(knowing(cases, calls), **given)  # type: ignore[arg-type]
    assert [table.title for table in tables] == ["Is there …? Hard test scenes"]
    lines = [json.loads(line) for line in (tmp_path / "hallucination-hard.jsonl").read_text().splitlines()]
    assert len(lines) == 2 * PER_KIND * (1 + len(ABSENT))
    assert lines[0]["settings"]["ways"][2].endswith("x 3")
    calls.clear()
    assert hallucination(knowing(cases, calls), **given) == tables  # type: ignore[arg-type]
    assert not calls


def test_ways_are_all_four_decodings_greedily_and_drawn() -> None:
    assert [way.decoding(0).name for way in GREEDY] == ["greedy", "AvisC", "VCD", "M3ID"]
    assert [way.decoding(0).name for way in DRAWN] == ["sample", "AvisC", "VCD", "M3ID"]
    assert all(way.decoding(7).temperature == 1.0 and way.decoding(7).seed == 7 for way in DRAWN)  # type: ignore[attr-defined]
