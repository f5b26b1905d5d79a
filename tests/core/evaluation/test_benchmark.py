"""The benchmark's parts on models of known behaviour, and its tables on small runs of the real thing."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.answering import Answer, Greedy
from pack.api_core.errors import Cancelled, InvalidInput
from pack.api_core.evaluation.benchmark.answers import answers, style_arms
from pack.api_core.evaluation.benchmark.arms import ORACLE, Arm, AskArms, Look, oracle_mask, with_controls
from pack.api_core.evaluation.benchmark.localisation import LocaliseCases, localisation
from pack.api_core.evaluation.benchmark.prompting import GRID, choose, prompting
from pack.api_core.evaluation.benchmark.splits import (
    EASY,
    HARD,
    LOCALISATION,
    ONE_OBJECT,
    asked_cases,
    majority_answer,
    named_cases,
)
from pack.api_core.evaluation.cases import QuestionCase, SceneReference
from pack.api_core.evaluation.runner.controls import shifted
from pack.api_core.evaluation.scorers.answers import is_right
from pack.api_core.evaluation.tables import Table, percent, picture_numbers
from pack.api_core.models.clip.load import load_clip
from pack.api_core.overlay import FadeStyle
from pack.api_core.progress import Progress, ignore_progress
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View
from torch import Tensor

CASES = asked_cases(HARD, "development", 12)


@dataclass
class BoxMaps:
    """A map source that knows: 1 in the box of what was asked for, 0 elsewhere. wrong: the other way round."""

    cases: Sequence[QuestionCase]
    wrong: bool = False
    calls: list[int] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        return {"wrong": self.wrong}

    def __call__(self, pictures: Sequence[Tensor], queries: Sequence[str], on_progress: Progress) -> Heatmap:
        self.calls.append(len(pictures))
        known = {(case.question, tuple(case.load().shape), float(case.load().sum())): case for case in self.cases}
        maps = []
        for picture, query in zip(pictures, queries, strict=True):
            case = known[query, tuple(picture.shape), float(picture.sum())]
            heat = torch.zeros(picture.shape[:2])
            for left, top, right, bottom in case.boxes:
                heat[int(top) : int(bottom), int(left) : int(right)] = 1
            heat = 1 - heat if self.wrong else heat
            view = View(heat[None], Box(0, 0, picture.shape[1], picture.shape[0]), torch.ones_like(heat, dtype=bool))
            size = (picture.shape[0], picture.shape[1])
            maps.append(PictureMap(size, (Label(query, "whole"),), {"attention": (view,)}, "known", "known", 0))
        return Heatmap(tuple(maps))


def reader(cases: Sequence[QuestionCase], legible: Callable[[Tensor, QuestionCase], bool]) -> Any:
    """A model that answers right where the picture it is shown is `legible` for the case."""
    by_question: dict[str, list[QuestionCase]] = {}
    for case in cases:
        by_question.setdefault(case.question, []).append(case)

    def answer(pictures: Sequence[Tensor], questions: Sequence[str], on_progress: Progress) -> list[Answer]:
        on_progress(0, 1)
        said = []
        for picture, question in zip(pictures, questions, strict=True):
            case = min(by_question[question], key=partial(difference, picture))
            text = case.answers[0] if legible(picture, case) else "cannot tell"
            said.append(Answer(text, "", question, Greedy(), True))
        return said

    return answer


def difference(picture: Tensor, case: QuestionCase) -> float:
    """How far the picture is from the case's own where it matters."""
    plain = case.load()
    if plain.shape != picture.shape:
        return float("inf")
    left, top, right, bottom = (int(edge) for edge in case.boxes[0]) if case.boxes else (0, 0, 99, 99)
    return float((plain - picture)[top:bottom, left:right].abs().mean())


def share_left(picture: Tensor, case: QuestionCase, inside: bool) -> float:
    """How much of the picture's light is left in (or out of) the boxes."""
    plain = case.load()
    mask = torch.zeros(plain.shape[:2], dtype=torch.bool)
    for left, top, right, bottom in case.boxes:
        mask[int(top) : int(bottom), int(left) : int(right)] = True
    mask = mask if inside else ~mask
    return float(picture[mask].sum() / plain[mask].sum())


def focused(picture: Tensor, case: QuestionCase) -> bool:
    """The object is as it was, and most of the rest has faded."""
    return share_left(picture, case, True) > 0.9 and share_left(picture, case, False) < 0.5


def test_questions_are_about_what_the_boxes_hold() -> None:
    for case in CASES:
        assert isinstance(case.picture, SceneReference)
        drawn = case.picture.draw()
        assert 6 <= len(drawn.scene.objects) <= 8
        assert len(case.boxes) == 1
        assert len(case.boxes) + len(case.other_boxes) == len(drawn.scene.objects)
        assert case.kind in ONE_OBJECT
        (wanted,) = (i for i, box in enumerate(drawn.boxes) if tuple(map(float, box)) == case.boxes[0])
        item = drawn.scene.objects[wanted]
        if case.kind in ("colour", "shape"):
            assert case.answers == ((item.colour if case.kind == "colour" else item.shape),)


def test_streams_and_splits_never_meet_and_numbers_decide() -> None:
    other = asked_cases(HARD, "test", 12)
    assert not {case.id for case in CASES} & {case.id for case in other}
    assert not {case.picture for case in CASES} & {case.picture for case in other}
    assert len({case.id for case in CASES}) == len(CASES)
    assert asked_cases(HARD, "development", 12) == CASES
    assert asked_cases(HARD, "development", 5) == CASES[:5]
    assert {case.kind for case in asked_cases(EASY, "test", 40)} > set(ONE_OBJECT)


def test_names_are_of_objects_that_they_tell_apart() -> None:
    cases = named_cases(LOCALISATION, "test", 4)
    assert len({case.picture for case in cases}) == 4
    for case in cases:
        assert isinstance(case.picture, SceneReference)
        names = [item.name for item in case.picture.draw().scene.objects]
        assert names.count(case.question.split(" ", 1)[1]) == 1
        assert len(case.boxes) == 1


@pytest.mark.slow
def test_gist_sees_what_there_is_but_not_which_is_which() -> None:
    cases = asked_cases(replace(HARD, kinds=("verify",)), "test", 200)
    right = [is_right(majority_answer(case), case.answers, "exact") for case in cases]
    assert 0.4 < sum(map(bool, right)) / len(right) < 0.75
    assert all(majority_answer(case) for case in cases)


def test_a_map_that_knows_scores_full_beside_priors_that_do_not() -> None:
    maps = BoxMaps(CASES)

    def maker(pictures: Sequence[Tensor], cases: Sequence[QuestionCase], on_progress: Progress) -> Any:
        heatmap = maps(pictures, [case.question for case in cases], on_progress)
        return {"known | 1": [p.parts["attention"][0].values[0].numpy() for p in heatmap.pictures]}

    found = LocaliseCases([maker])(CASES, ignore_progress)
    assert all(outcome["scores"] == {"known | 1": [1, 1, 1, 1]} for outcome in found)


@pytest.mark.slow
def test_localisation_of_the_embedded_clip_beats_chance_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    model = load_clip("tiny-clip", device="cpu")

    def stop(done: int, total: int) -> None:
        if done > 0:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        localisation(model, None, scenes=8, quick=True, folder=tmp_path, on_progress=stop)
    kept = (tmp_path / "localisation-named.jsonl").read_bytes()
    assert kept.count(b"\n") == 24
    named, asked = localisation(model, None, scenes=8, quick=True, folder=tmp_path)
    assert (tmp_path / "localisation-named.jsonl").read_bytes().startswith(kept)
    pointing = {row[0]: float(row[2].split()[0]) for row in named.rows}
    assert pointing["chance"] < 15
    assert pointing["CLIP, the pack's defaults"] > 80
    first = {row[0]: float(row[3].split()[0]) for row in asked.rows}
    assert first["CLIP, the pack's defaults"] > 80
    assert {"centre", "random box of equal area", "saliency, spectral residual"} <= set(first)
    line = json.loads(kept.splitlines()[0])
    assert line["settings"]["clip"].startswith("tiny-clip ")
    assert len(line["scores"]["chance |"]) == 4


def test_controls_have_the_values_of_the_mask() -> None:
    mask = torch.rand(20, 30) ** 3
    there = shifted(mask, np.random.default_rng(1))
    assert not torch.equal(there, mask)
    assert torch.equal(there.flatten().sort().values, mask.flatten().sort().values)
    own, lot, uniform = with_controls("map", Look())
    assert (own.change, lot.change, uniform.change) == ("", "moved", "uniform")


def test_the_oracle_keeps_the_box_and_drops_the_rest() -> None:
    case = CASES[0]
    mask = oracle_mask(case, case.load(), 1.0)
    left, top, right, bottom = (int(edge) for edge in case.boxes[0])
    assert mask[top:bottom, left:right].mean() > 0.97
    far = mask.clone()
    far[max(0, top - 14) : bottom + 14, max(0, left - 14) : right + 14] = 0
    assert far.sum() == 0
    assert oracle_mask(case, case.load(), 3.0).sum() > 1.5 * mask.sum()
    assert oracle_mask(replace(case, boxes=()), case.load(), 1.0).min() == 1


def test_every_arm_shows_what_it_says_and_maps_are_made_once() -> None:
    maps = BoxMaps(CASES)
    look = Look(5.0, 1.0, style=FadeStyle(), strength=1.0)
    arms = [
        Arm("plain"),
        *with_controls("map", look),
        Arm("other", "map", replace(look, contrast=2.0)),
        Arm("o", ORACLE),
    ]
    shown: dict[int, list[Tensor]] = {}

    def answer(pictures: Sequence[Tensor], questions: Sequence[str], _: Progress) -> list[Answer]:
        for picture, question in zip(pictures, questions, strict=True):
            shown.setdefault(questions.index(question), []).append(picture)
        return [Answer("x", "", question, Greedy(), True) for question in questions]

    (case,) = CASES[:1]
    (outcome,) = AskArms(answer, arms, {"map": maps}, batch_size=1)([case], ignore_progress)
    plain, own, lot, uniform, _, oracle = shown[0]
    assert maps.calls == [1]
    assert torch.equal(plain, case.load())
    assert share_left(own, case, True) > 0.99
    assert share_left(own, case, False) < 0.01
    assert float(lot.sum()) != float(own.sum())
    ratio = uniform / plain.clamp(min=1e-6)
    assert float(ratio[plain > 0.1].std()) < 1e-4
    assert share_left(oracle, case, True) > 0.97
    assert set(outcome["right"]) == {arm.name for arm in arms}
    assert outcome["said"]["plain"] == "x"


@pytest.mark.slow
def test_results_do_not_depend_on_the_batches() -> None:
    arms = style_arms(["map"], quick=True)
    answer = reader(CASES, focused)
    one, many = (AskArms(answer, arms, {"map": BoxMaps(CASES)}, batch_size=n) for n in (1, 7))
    alone = [outcome for case in CASES[:4] for outcome in one([case], ignore_progress)]
    assert alone == many(CASES[:4], ignore_progress)


def test_an_arm_without_its_maps_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'LVLM'"):
        AskArms(reader(CASES, focused), [Arm("a", "LVLM")], {"CLIP": BoxMaps(CASES)})


def test_the_first_of_equal_looks_is_chosen() -> None:
    looks = {look: f"arm {i}" for i, look in enumerate(GRID[:3])}
    assert choose([{"right": {"arm 0": 0, "arm 1": 1, "arm 2": 1}}, {"error": "x"}], looks) == GRID[1]
    assert len({look.title for look in GRID}) == len(GRID)
    assert all(look.strength >= 0.3 for look in GRID)


@pytest.mark.slow
def test_the_experiment_finds_the_map_that_helps(tmp_path: Path) -> None:
    known = [
        *asked_cases(HARD, "development", 8),
        *asked_cases(HARD, "test", 10),
        *asked_cases(EASY, "test", 6),
    ]
    grid = [Look(10.0, 1.0, style=FadeStyle(), strength=strength) for strength in (0.3, 1.0)]
    counts = {"questions": 10, "development": 8, "easy": 6}
    maps = {"good": BoxMaps(known), "bad": BoxMaps(known, wrong=True)}
    steps: list[tuple[int, int]] = []
    tables = prompting(
        reader(known, focused),
        maps,
        model="stub",
        grid=grid,
        folder=tmp_path,
        on_progress=lambda *step: steps.append(step),
        **counts,
    )
    chosen, hard, against, alike, easy = tables
    assert "strength 1" in chosen.rows[1][1]
    assert "strength 0.3" in chosen.rows[2][1]
    rows = {row[0]: row for row in hard.rows}
    assert rows["plain picture"][1].startswith("0.0")
    assert float(rows["good map"][2].split()[0]) >= 70
    assert rows["bad map"][2].startswith("+0.0")
    assert rows["oracle box"][1].startswith("100.0")
    assert rows["good map's mean everywhere"][1].startswith("0.0")
    assert [float(cell.split()[0]) >= 70 for cell in against.rows[0][1:]] == [True] * 3
    assert "6 questions" in easy.notes[0]
    assert set(alike.columns[3:]) <= set(HARD.kinds) < set(ONE_OBJECT)
    assert steps[-1][0] == steps[-1][1]
    assert steps == sorted(steps)
    again = prompting(reader([], focused), maps, model="stub", grid=grid, folder=tmp_path, **counts)
    assert again == tables
    with pytest.raises(InvalidInput, match="other settings"):
        prompting(reader([], focused), maps, model="another", grid=grid, folder=tmp_path, **counts)


@pytest.mark.slow
def test_answers_are_told_by_kind_with_the_paired_difference() -> None:
    known = [case for split in (EASY, HARD) for case in asked_cases(_all_kinds(split), "test", 12)]
    easy, hard = answers(
        reader(known, lambda picture, case: True), {"map": BoxMaps(known)}, model="stub", questions=12, quick=True
    )
    assert easy.columns[:3] == ("picture", "all", "difference to plain")
    assert set(easy.columns[3:]) == {case.kind for case in known[:12]}
    assert all(cell == "100.0" for cell in easy.rows[0][3:])
    assert all(row[2] == "+0.0 ± 0.0" for row in hard.rows[1:-1])
    assert hard.rows[-1][0] == "gist"


def _all_kinds(split: Any) -> Any:
    from pack.api_core.scenes.questions import QUESTION_KINDS

    return replace(split, kinds=QUESTION_KINDS)


def test_tables_are_markdown_with_intervals() -> None:
    assert percent([1, 0, 1, 0], [0, 1, 2, 3]) == "50.0 ± 56.6"
    assert percent([0.25, 0.25], [0, 1], signed=True) == "+25.0 ± 0.0"
    assert percent([1], [0]) == "100.0"
    table = Table("Title", ("a", "b"), (("1", "2"),), ("A note.",))
    assert table.to_markdown() == "### Title\n\nA note.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    scene = SceneReference("test", 1, 9, 9)
    cases = [QuestionCase(str(i), picture, "?") for i, picture in enumerate((scene, Path("x"), scene))]
    assert picture_numbers(cases) == [0, 1, 0]
