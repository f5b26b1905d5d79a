"""The table of the tiny CLIP's model card, through the library's own path (load_clip, clip_heatmap, tune).

    python -m tools.train.evaluate_tiny_clip [--model tiny-clip] [--scenes 350] [--out FOLDER]

Test scenes (seed stream and backgrounds of their own) with 3 to 5 objects; one question "a {colour} {shape}" for every
object that those two words tell from the others. Intervals are 95 %, by picture.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from api_core.attribution import clip_heatmap
from api_core.evaluation.benchmark.priors import prior_map
from api_core.evaluation.scorers.localisation import LocalisationScore, score_map
from api_core.evaluation.tables import mean_with_interval
from api_core.geometry import place
from api_core.masks import tune
from api_core.models.catalog import mask_defaults
from api_core.models.clip import ClipModel
from api_core.models.clip.load import load_clip
from api_core.results import PictureMap
from api_core.scenes import SceneOptions, draw_scene, make_scene
from api_core.scenes.captions import CONCEPTS, with_article
from api_core.scenes.draw import blur
from api_core.scenes.questions import facts_from_boxes

from .foreign_scenes import draw_foreign_scene
from .tiny_clip.pairs import held_out_pairs

Row = dict[str, Any]
SIZES = (128, 224, 320, 448, 640)
WORDINGS = ("{}", "the {}", "Where is the {}?", "find the {}", "Is there a {} in the picture?")
PAIRS = CONCEPTS[:60]


@dataclass(frozen=True)
class Case:
    picture: np.ndarray
    boxes: np.ndarray
    questions: tuple[tuple[str, int], ...]


def own_cases(count: int, first: int = 0) -> Iterator[Case]:
    options = SceneOptions(objects=(3, 5))
    numbers = itertools.count(first)
    for _ in range(count):
        while True:
            number = next(numbers)
            scene = make_scene(number, "test", options)
            size = SIZES[number % len(SIZES)]
            drawn = draw_scene(scene, round(size * scene.height), round(size * scene.width))
            small = (drawn.boxes[:, 2:] - drawn.boxes[:, :2]).min() < 0.03 * size
            if not small and len(scene.objects) >= 3:
                break
        found = ((c, c.found_in(scene)) for c in PAIRS)
        questions = tuple((with_article(c.phrase), who[0]) for c, who in found if len(who) == 1)
        yield Case(drawn.picture, drawn.boxes, questions)


def foreign_cases(count: int) -> Iterator[Case]:
    numbers = itertools.count()
    for _ in range(count):
        scene = next(s for s in map(draw_foreign_scene, numbers) if len(s.boxes) >= 3)
        facts = facts_from_boxes(scene.names, scene.boxes, scene.picture.shape[:2])
        found = ((c, facts.found(c)) for c in PAIRS)
        yield Case(scene.picture, scene.boxes, tuple((with_article(c.phrase), w[0]) for c, w in found if len(w) == 1))


def _noisy(picture: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(int(picture.sum()) % 2**32)
    return picture + rng.normal(0, 0.06, picture.shape).astype(np.float32)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as drawn": lambda p: p,
    "brightness -40 %": lambda p: 0.6 * p,
    "brightness +40 %": lambda p: 1.4 * p,
    "contrast -40 %": lambda p: (p - p.mean()) * 0.6 + p.mean(),
    "contrast +40 %": lambda p: (p - p.mean()) * 1.4 + p.mean(),
    "blur (sigma 0.8 % of the side)": lambda p: blur(p, 0.008 * (p.shape[0] * p.shape[1]) ** 0.5),
    "noise (sigma 0.06)": _noisy,
}


def raw_part(chosen: PictureMap, part: str) -> np.ndarray:
    """One raw part of a map at the picture's size, bilinear."""
    (view,) = chosen.parts[part]
    return place(view.values[:1], view.box, chosen.size, "bilinear")[0].numpy()


def maps_of(model: ClipModel, case: Case, layer: int, fit: str) -> Iterator[tuple[str, int, np.ndarray]]:
    """(name of the map, object asked for, map [H, W]) at one layer; the merge at contrasts 1, 5 and 10."""
    picture = torch.from_numpy(case.picture)
    for text, wanted in case.questions:
        heatmap = clip_heatmap(model, [picture], text, layer=layer, fit=fit, words=False)
        yield "class token", wanted, raw_part(heatmap.pictures[0], "class_token")
        patch = raw_part(heatmap.pictures[0], "patch")
        yield "patch", wanted, patch
        yield "patch, inverted", wanted, -patch
        for contrast in (1, 5, 10):
            (mask,) = tune(heatmap, contrast=contrast, smoothing=3).masks
            yield f"merge, contrast {contrast}", wanted, mask.numpy()


def default_masks(model: ClipModel, case: Case, fit: str | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """(object asked for, mask [H, W]) with every setting left to the pack, as the nodes and `clip_api` do."""
    defaults = mask_defaults("tiny-clip")
    for text, wanted in case.questions:
        heatmap = clip_heatmap(model, [torch.from_numpy(case.picture)], text, fit=fit)
        (mask,) = tune(heatmap, contrast=defaults.contrast, smoothing=defaults.smoothing).masks
        yield wanted, mask.numpy()


class Tally:
    def __init__(self) -> None:
        self.scores: dict[str, list[LocalisationScore]] = {}
        self.cases: dict[str, list[int]] = {}

    def add(self, name: str, case: int, score: LocalisationScore) -> None:
        self.scores.setdefault(name, []).append(score)
        self.cases.setdefault(name, []).append(case)

    def row(self, name: str) -> Row:
        columns = ("pointing", "energy", "first")
        cells = {c: mean_with_interval([getattr(s, c) for s in self.scores[name]], self.cases[name]) for c in columns}
        return {**cells, "n": len(self.scores[name])}


def priors(cases: list[Case]) -> Tally:
    rng, tally = np.random.default_rng(0), Tally()
    for index, case in enumerate(cases):
        for (_, wanted), kind in itertools.product(case.questions, ("centre", "random", "random box")):
            heat = prior_map(kind, case.picture.shape[:2], case.boxes[wanted], rng)
            tally.add(kind, index, score_map(heat, case.boxes, wanted))
    return tally


def evaluate(model: ClipModel, cases: list[Case], layers: list[int], change: str, fit: str) -> Tally:
    tally = Tally()
    for index, case in enumerate(cases):
        altered = np.clip(CHANGES[change](case.picture), 0, 1).astype(np.float32)
        changed = Case(altered, case.boxes, case.questions)
        for layer in layers:
            for name, wanted, heat in maps_of(model, changed, layer, fit):
                tally.add(f"{name} | {layer}", index, score_map(heat, case.boxes, wanted))
    return tally


def evaluate_defaults(model: ClipModel, cases: list[Case], fit: str | None = None) -> Tally:
    tally = Tally()
    for index, case in enumerate(cases):
        for wanted, heat in default_masks(model, case, fit):
            tally.add("the pack's defaults", index, score_map(heat, case.boxes, wanted))
    return tally


def reworded(cases: list[Case], wording: str) -> list[Case]:
    """The same cases asked for in other words: {} stands for "red star"."""
    return [
        Case(c.picture, c.boxes, tuple((wording.format(text.split(" ", 1)[1]), who) for text, who in c.questions))
        for c in cases
    ]


def print_table(title: str, rows: dict[str, Row]) -> None:
    out = [f"\n{title}\n| map | layer | pointing | ranked first | energy | n |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        cells = [f"{row[c][0]:.3f} ± {row[c][1]:.3f}" for c in ("pointing", "first", "energy")]
        map_name, _, layer = name.partition(" | ")
        out.append(f"| {map_name} | {layer} | {' | '.join(cells)} | {row['n']} |")
    sys.stdout.write("\n".join(out) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny-clip", help="a name of the catalog, or a folder")
    parser.add_argument("--scenes", type=int, default=350)
    parser.add_argument("--fit", default="stretch")
    parser.add_argument("--quick", action="store_true", help="the last two layers on clean pictures only")
    parser.add_argument(
        "--hold-out-pairs", type=int, default=0, help="only: scores of so many unseen pairs and of the rest"
    )
    parser.add_argument("--out", type=Path, help="also write results.json there")
    options = parser.parse_args()
    model = load_clip(options.model, device="cpu")
    depth = model.depth
    results: dict[str, dict[str, Row]] = {}
    cases = list(own_cases(options.scenes))
    if options.hold_out_pairs:
        unseen = {with_article(CONCEPTS[pair].phrase) for pair in held_out_pairs(options.hold_out_pairs)}
        for title, wanted in (("pairs never shown", True), ("pairs shown", False)):
            part = [replace(c, questions=tuple(q for q in c.questions if (q[0] in unseen) == wanted)) for c in cases]
            tally = evaluate(model, part, [depth - 2, depth - 1], "as drawn", options.fit)
            results[title] = {name: tally.row(name) for name in tally.scores}
            print_table(title, results[title])
        _write(results, options.out)
        return
    foreign = list(foreign_cases(options.scenes))
    last_two = [depth - 2, depth - 1]
    plan = [("test scenes", cases, last_two if options.quick else list(range(depth)), "as drawn")]
    plan.append(("second drawing routine", foreign, last_two, "as drawn"))
    if not options.quick:
        for change in list(CHANGES)[1:]:
            plan.append((f"test scenes, {change}", cases[: options.scenes // 3], last_two, change))
            plan.append((f"second routine, {change}", foreign[: options.scenes // 3], last_two, change))
    sys.stdout.write(f"{model.name}, catalog defaults {mask_defaults(model.name)}, fit {options.fit}\n")
    for title, chosen in (("priors, test scenes", cases), ("priors, second routine", foreign)):
        tally = priors(chosen)
        results[title] = {name: tally.row(name) for name in tally.scores}
        print_table(title, results[title])
    asked = {"a {}": "", **{wording: f', asked as "{wording}"' for wording in WORDINGS}}
    for wording, note in list(asked.items())[: 1 if options.quick else None]:
        for title, chosen in (("test scenes", cases), ("second routine", foreign)):
            part = chosen if wording == "a {}" else chosen[: options.scenes // 3]
            tally = evaluate_defaults(model, reworded(part, wording))
            name = f"{title}, the pack's defaults{note}"
            results[name] = {key: tally.row(key) for key in tally.scores}
            print_table(name, results[name])
    for fit in () if options.quick else ("stretch", "letterbox"):
        tally = evaluate_defaults(model, cases[: options.scenes // 3], fit)
        results[f"test scenes, fit {fit}"] = {key: tally.row(key) for key in tally.scores}
        print_table(f"test scenes, the pack's defaults but fit {fit}", results[f"test scenes, fit {fit}"])
    for title, chosen, layers, change in plan:
        tally = evaluate(model, chosen, layers, change, options.fit)
        results[title] = {name: tally.row(name) for name in tally.scores}
        print_table(title, results[title])
    _write(results, options.out)


def _write(results: dict[str, dict[str, Row]], folder: Path | None) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
