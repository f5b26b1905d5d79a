"""The tables of the tiny LVLM's card: stock transformers, the half-precision weights run in single precision.

    python -m tools.train.evaluate_tiny_lvlm [--model FOLDER] [--scenes 400] [--out FOLDER]

Test scenes have a seed stream and backgrounds of their own. Intervals are 95 %, by picture.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from api_core.evaluation.benchmark.priors import prior_map
from api_core.evaluation.scorers.localisation import score_map
from api_core.evaluation.tables import mean_with_interval
from api_core.scenes import SceneOptions, draw_scene, make_scene
from api_core.scenes.draw import DrawnScene
from api_core.scenes.questions import QUESTION_KINDS, ask, facts_from_boxes, facts_of

from .evaluate_tiny_clip import CHANGES, SIZES
from .foreign_scenes import ForeignScene, draw_foreign_scene
from .tiny_lvlm.judging import Asked, Judge, by_kind, chance_of_gist, enlarge, majority
from .wordings import QUESTION_WORDINGS

OPTIONS = SceneOptions(objects=(1, 4), radius=(0.08, 0.2), overlap=0.15)
YES_NO = ("exist", "verify", "relation", "compare")
_PACKAGED = Path(__file__).resolve().parents[2] / "api_core" / "embedded" / "tiny_lvlm"
Cell = tuple[float, float]


def questions_of(drawn: DrawnScene | ForeignScene, scene: int, varied: bool) -> list[Asked]:
    foreign = isinstance(drawn, ForeignScene)
    facts = facts_from_boxes(drawn.names, drawn.boxes, drawn.picture.shape[:2]) if foreign else facts_of(drawn)
    if facts is None or not facts.names:
        return []
    rng = np.random.default_rng([scene, 77])
    wordings = QUESTION_WORDINGS if varied else None
    told = ask(facts, rng, (*QUESTION_KINDS, "describe"), wordings)
    return [Asked(drawn.picture, question, facts, drawn.boxes, scene) for question in told]


def own_questions(count: int, options: SceneOptions, varied: bool = False, first: int = 0) -> list[Asked]:
    asked: list[Asked] = []
    numbers = itertools.count(first)
    while count:
        number = next(numbers)
        scene = make_scene(number, "test", options)
        size = SIZES[number % len(SIZES)]
        new = questions_of(draw_scene(scene, round(size * scene.height), round(size * scene.width)), number, varied)
        asked += new
        count -= bool(new)
    return asked


def foreign_questions(count: int, varied: bool = False) -> list[Asked]:
    return [q for number in range(count) for q in questions_of(draw_foreign_scene(number), number, varied)]


def changed(asked: Sequence[Asked], change: Callable[[np.ndarray], np.ndarray]) -> list[Asked]:
    """Every picture changed (once per scene)."""
    done = {each.scene: np.clip(change(each.picture), 0, 1).astype(np.float32) for each in asked}
    return [replace(each, picture=done[each.scene]) for each in asked]


def uneven(picture: np.ndarray) -> np.ndarray:
    """A soft round light anywhere; far from it 40 % of the light are left."""
    height, width = picture.shape[:2]
    cy, cx = np.random.default_rng(int(picture.sum()) % 2**32).random(2)
    y, x = (np.arange(height)[:, None] + 0.5) / height, (np.arange(width)[None] + 0.5) / width
    light = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 0.3**2)
    return picture * (0.4 + 0.6 * light)[..., None].astype(np.float32)


def with_other_pictures(asked: Sequence[Asked]) -> list[Asked]:
    """Every question put to the next scene's picture."""
    pictures = {each.scene: each.picture for each in asked}
    scenes = list(pictures)
    following = dict(zip(scenes, [*scenes[1:], scenes[0]], strict=True))
    return [replace(each, picture=pictures[following[each.scene]]) for each in asked]


def accuracy(asked: Sequence[Asked], answers: Sequence[str]) -> dict[str, tuple[Cell, int]]:
    """Share of right answers by kind, and over all kinds that are answered in one word."""
    right = [float(a.lower() == each.question.answer) for each, a in zip(asked, answers, strict=True)]
    groups = dict(by_kind(asked))
    one_word = [i for kind, rows in groups.items() if kind != "describe" for i in rows]
    named = {"all but describe": one_word, **groups}
    named["yes or no"] = [i for i in one_word if asked[i].question.kind in YES_NO]
    return {
        name: (mean_with_interval([right[i] for i in rows], [asked[i].scene for i in rows]), len(rows))
        for name, rows in named.items()
        if rows
    }


def guessing(asked: Sequence[Asked], answers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By kind: the most common answer, gist, and accuracy where gist does not give the answer away."""
    out: dict[str, dict[str, Any]] = {}
    for kind, rows in by_kind(asked):
        if kind == "describe":
            continue
        gist = [chance_of_gist(asked[i]) for i in rows]
        entry: dict[str, Any] = {"majority": majority([asked[i] for i in rows])}
        if gist[0] is not None:
            known = [float(g or 0.0) for g in gist]
            hard = [i for i, g in zip(rows, known, strict=True) if g < 0.999]
            entry |= {"gist": float(np.mean(known)), "hard n": len(hard)}
            entry["gist on hard"] = float(np.mean([g for g in known if g < 0.999]))
            entry["accuracy on hard"] = float(np.mean([answers[i] == asked[i].question.answer for i in hard]))
        out[kind] = entry
    return out


def single_targets(asked: Sequence[Asked]) -> list[Asked]:
    """Questions about one object of several: those whose answer's attention has one right place."""
    kinds = ("colour", "shape", "where", "verify", "exist", "count")
    return [e for e in asked if e.question.kind in kinds and len(e.question.objects) == 1 and len(e.boxes) > 1]


def localisation(judge: Judge, asked: Sequence[Asked]) -> dict[str, dict[str, Any]]:
    """Scores of the answer's attention by layer, and by kind at each layer; priors beside them."""
    scores: dict[str, list[tuple[int, Any]]] = {}
    rng = np.random.default_rng(0)
    for each in asked:
        wanted, size = each.question.objects[0], each.picture.shape[:2]
        for layer, heat in enumerate(judge.attention(each, each.question.answer)):
            score = score_map(enlarge(heat, size), each.boxes, wanted)
            for name in (f"layer {layer}", f"layer {layer}, {each.question.kind}"):
                scores.setdefault(name, []).append((each.scene, score))
        for kind in ("centre", "random", "random box"):
            heat = prior_map(kind, size, each.boxes[wanted], rng)
            scores.setdefault(kind, []).append((each.scene, score_map(heat, each.boxes, wanted)))
    return {
        name: {
            column: mean_with_interval([getattr(s, column) for _, s in rows], [scene for scene, _ in rows])
            for column in ("pointing", "first", "energy")
        }
        | {"n": len(rows)}
        for name, rows in sorted(scores.items())
    }


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _cell(cell: Cell) -> str:
    return f"{cell[0]:.3f} ± {cell[1]:.3f}"


def print_accuracy(title: str, rows: dict[str, tuple[Cell, int]]) -> None:
    _say(f"\n{title}", "| kind | right | n |", "|---|---|---|")
    _say(*(f"| {kind} | {_cell(cell)} | {n} |" for kind, (cell, n) in rows.items()))


def print_localisation(title: str, rows: dict[str, dict[str, Any]]) -> None:
    _say(f"\n{title}", "| map | pointing | ranked first | energy in box | n |", "|---|---|---|---|---|")
    for name, row in rows.items():
        _say(f"| {name} | {' | '.join(_cell(row[c]) for c in ('pointing', 'first', 'energy'))} | {row['n']} |")


class Evaluation:
    """Asks, prints and keeps; after each table everything so far is written to `folder`."""

    def __init__(self, judge: Judge, folder: Path | None) -> None:
        self.judge, self.folder = judge, folder
        self.results: dict[str, Any] = {}

    def keep(self, title: str, result: Any) -> None:
        self.results[title] = result
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "results.json").write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def answers(self, title: str, asked: Sequence[Asked], with_picture: bool = True) -> list[str]:
        started = time.monotonic()
        answers = self.judge.answer(asked, with_picture)
        each = (time.monotonic() - started) / len(asked) * 1000
        rows = accuracy(asked, answers)
        print_accuracy(f"{title} ({each:.0f} ms a question)", rows)
        self.keep(title, rows)
        return answers

    def maps(self, title: str, asked: Sequence[Asked]) -> None:
        rows = localisation(self.judge, single_targets(asked))
        print_localisation(title, rows)
        self.keep(title, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=_PACKAGED, help="an exported folder")
    parser.add_argument("--scenes", type=int, default=350)
    parser.add_argument("--quick", action="store_true", help="test scenes, second routine and attention only")
    parser.add_argument("--out", type=Path, help="also write results.json there")
    options = parser.parse_args()
    evaluation = Evaluation(Judge(options.model), options.out)
    own, foreign = own_questions(options.scenes, OPTIONS), foreign_questions(options.scenes)
    third = max(1, options.scenes // 3)
    own_part, foreign_part = ([q for q in asked if q.scene < third] for asked in (own, foreign))
    answers = evaluation.answers("test scenes", own)
    evaluation.keep("guessing", guessing(own, answers))
    _say("\nguessing", *(f"{kind}: {row}" for kind, row in evaluation.results["guessing"].items()))
    evaluation.maps("attention of the answer, test scenes with 2 to 4 objects", own)
    evaluation.answers("second drawing routine, 3 to 5 objects", foreign)
    if options.quick:
        return
    evaluation.answers("blind: another scene's picture", with_other_pictures(own_part))
    evaluation.answers("blind: no picture", own_part, with_picture=False)
    evaluation.answers("blind: a grey picture", changed(own_part, lambda p: np.full_like(p, 0.5)))
    for name, change in {**CHANGES, "uneven light": uneven}.items():
        for title, part in (("test scenes", own_part), ("second routine", foreign_part)):
            if name != "as drawn":
                evaluation.answers(f"{title}, {name}", changed(part, change))
    evaluation.answers("test scenes, other wordings", own_questions(third, OPTIONS, varied=True))
    crowded = replace(OPTIONS, objects=(5, 5), radius=(0.065, 0.2))
    evaluation.answers("test scenes, 5 objects, radius from 0.065", own_questions(third, crowded))
    evaluation.maps("attention of the answer, second routine", foreign_part)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
