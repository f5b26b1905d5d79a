"""Do maps lie on the object they were asked for? Every method and layer, beside chance and simple priors."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...attribution import METHODS, list_lvlm_methods
from ...attribution.lvlm.calibrate import calibrate
from ...errors import UnsupportedModel
from ...geometry import compose
from ...masks import MaskSettings, tune
from ...models.clip import ClipModel
from ...models.lvlm.model import LvlmModel
from ...progress import Progress, ignore_progress
from ...results import Heatmap
from ..cases import QuestionCase, pictures_of
from ..runner.map_sources import ClipMaps, LvlmMaps, identity
from ..runner.results_file import Record
from ..scorers.localisation import score_map
from ..tables import Table, percent
from .experiment import Experiment, Results
from .priors import SALIENCY, prior_map
from .splits import LOCALISATION, asked_cases, named_cases

Drawn = Mapping[str, Sequence[np.ndarray]]
"""Rows of the table ("map | layer") and for each the maps [H, W] of a batch of cases."""
Maker = Callable[[Sequence[Tensor], Sequence[QuestionCase], Progress], Drawn]

log = logging.getLogger(__name__)

FEW_HEADS = "few heads"
MERGE_CONTRASTS = (1, 5, 10)
PRIORS = {"chance": "constant", "centre": "centre", "random box of equal area": "random box"}
SCORES = {"pointing": "pointing", "ranked first": "first", "energy in the box": "energy", "best IoU": "iou"}
NOTE = (
    "Percent ± half the 95 % interval, by picture. *pointing*: the peak lies in the object's box; *ranked first*: the "
    "mean inside it beats that inside every other object's; *energy*: share of the map inside it; *best IoU*: of the "
    "box and the map above its best threshold. Ties count by their expected value; chance is a map of one value."
)
_BATCH = 24


def localisation(
    clip: ClipModel | None,
    lvlm: LvlmModel | None,
    *,
    scenes: int = 250,
    stream: str = "test",
    quick: bool = False,
    seed: int = 0,
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """The tables of `scenes` scenes for "a red star", and of half as many questions again.

    quick: only the models' last two layers. folder: results are kept, and a run that was stopped goes on from there.
    """
    named = named_cases(LOCALISATION, stream, scenes)
    asked = asked_cases(LOCALISATION, stream, 3 * scenes // 2)
    experiment = Experiment("localisation", folder, on_progress, len(asked) + (0 if clip is None else len(named)))
    models = {"clip": clip and identity(clip), "lvlm": lvlm and identity(lvlm)}

    def run(title: str, part: str, cases: Sequence[QuestionCase], makers: Sequence[Maker]) -> Table:
        settings = {"benchmark": title, "stream": stream, "quick": quick, "seed": seed, **models}
        return _table(title, cases, experiment.run(part, cases, LocaliseCases(makers), settings, batch_size=_BATCH))

    tables = []
    if clip is not None:
        makers: list[Maker] = [Priors(seed), *clip_makers(clip, quick)]
        tables.append(run(f'Maps of "a red star", {stream} scenes of 3 to 5 objects', "named", named, makers))
    makers = [Priors(seed)]
    makers += [] if clip is None else [ClipDefaults(clip)]
    makers += [] if lvlm is None else lvlm_makers(lvlm, quick)
    title = f'Maps of questions such as "What colour is the star?", {stream} scenes of 3 to 5 objects'
    tables.append(run(title, "asked", asked, makers))
    return tables


@dataclass(frozen=True)
class LocaliseCases:
    """The work of `runner.run_cases`: the scores of every row, by its name, in the order of `SCORES`."""

    makers: Sequence[Maker]

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        pictures = pictures_of(cases)
        outcomes: list[dict[str, list[float]]] = [{} for _ in cases]
        for maker in self.makers:
            on_progress(0, 1)
            for row, maps in maker(pictures, cases, on_progress).items():
                for case, heat, outcome in zip(cases, maps, outcomes, strict=True):
                    boxes = np.array([*case.boxes, *case.other_boxes], np.float32)
                    score = score_map(heat, boxes, range(len(case.boxes)))
                    outcome[row] = [round(float(getattr(score, name)), 5) for name in SCORES.values()]
        return [{"kind": case.kind, "scores": outcome} for case, outcome in zip(cases, outcomes, strict=True)]


@dataclass(frozen=True)
class Priors:
    """Maps that were not asked anything."""

    seed: int = 0

    def __call__(self, pictures: Sequence[Tensor], cases: Sequence[QuestionCase], _: Progress) -> Drawn:
        rows: dict[str, list[np.ndarray]] = {}
        for picture, case in zip(pictures, cases, strict=True):
            rng = np.random.default_rng([self.seed, zlib.crc32(case.id.encode())])
            size = (picture.shape[0], picture.shape[1])
            for title, kind in PRIORS.items():
                rows.setdefault(f"{title} |", []).append(prior_map(kind, size, np.array(case.boxes[0]), rng))
            for title, saliency in SALIENCY.items():
                rows.setdefault(f"{title} |", []).append(saliency(picture.numpy()))
        return rows


@dataclass(frozen=True)
class ClipParts:
    """One method of a CLIP at one layer: its parts as they are, and the masks made of them."""

    maps: ClipMaps

    def __call__(self, pictures: Sequence[Tensor], cases: Sequence[QuestionCase], on_progress: Progress) -> Drawn:
        heatmap = self.maps(pictures, [case.map_query for case in cases], on_progress)
        rows: dict[str, Sequence[np.ndarray]] = {}
        method, layer = self.maps.method, self.maps.layer
        parts = list(heatmap.pictures[0].parts)
        for part in parts:
            name = f"CLIP {method}" + (f", {part.replace('_', ' ')}" if len(parts) > 1 else "")
            rows[f"{name} | {layer}"] = raw_part(heatmap, part)
        if len(parts) > 1:
            rows[f"CLIP {method}, complement of patch | {layer}"] = [-heat for heat in raw_part(heatmap, parts[-1])]
            for contrast in MERGE_CONTRASTS:
                masks = tune(heatmap, MaskSettings(contrast, 3)).masks
                rows[f"CLIP {method}, merged, contrast {contrast} | {layer}"] = [mask.numpy() for mask in masks]
        return rows


@dataclass(frozen=True)
class ClipDefaults:
    """The mask as nodes and `prompt_picture` make it when nothing is chosen."""

    model: ClipModel

    def __call__(self, pictures: Sequence[Tensor], cases: Sequence[QuestionCase], on_progress: Progress) -> Drawn:
        heatmap = ClipMaps(self.model)(pictures, [case.map_query for case in cases], on_progress)
        layer = heatmap.pictures[0].layer
        return {f"CLIP, the pack's defaults | {layer}": [mask.numpy() for mask in tune(heatmap).masks]}


def clip_makers(model: ClipModel, quick: bool = False) -> list[Maker]:
    """Every method that suits the model at every layer (quick: the last two)."""
    layers = range(max(0, model.depth - 2) if quick else 0, model.depth)
    maps = ClipMaps(model)
    methods = [name for name, method in METHODS.items() if model.reads_class_token or not method.neighbours]
    parts = [ClipParts(replace(maps, method=method, layer=layer)) for method in methods for layer in layers]
    return [ClipDefaults(model), *parts]


@dataclass(frozen=True)
class LvlmLayers:
    """Methods of an LVLM at layers, all on the answers it gives by itself, which are generated once."""

    model: LvlmModel
    choices: Sequence[tuple[str, LvlmMaps]]

    def __call__(self, pictures: Sequence[Tensor], cases: Sequence[QuestionCase], on_progress: Progress) -> Drawn:
        rows: dict[str, Sequence[np.ndarray]] = {}
        questions = [case.question for case in cases]
        answers: Sequence[str] | None = None
        for name, maps in (*self.choices, *self.calibrated):
            found = maps.attributed(pictures, questions, answers, on_progress)
            answers = [reply.text for reply in found.replies]
            (part,) = found.heatmap.pictures[0].parts
            rows[name] = raw_part(found.heatmap, part)
        return rows

    @cached_property
    def calibrated(self) -> Sequence[tuple[str, LvlmMaps]]:
        """The few heads that a calibration chooses, on scenes of its own; none where no head is better than chance."""
        try:
            heads = calibrate(self.model).chosen.heads
        except UnsupportedModel as error:
            log.warning("%s", error)
            return []
        named = ", ".join(f"{layer}.{head}" for layer, head in heads)
        maps = LvlmMaps(self.model, FEW_HEADS, batch_size=_BATCH, heads=heads)
        return [(f"LVLM {FEW_HEADS}, calibrated: {named} |", maps)]


def lvlm_makers(model: LvlmModel, quick: bool = False) -> list[Maker]:
    """Every method at every layer that sees the picture (quick: the last two)."""
    layers = model.seeing_layers[-2:] if quick else model.seeing_layers
    choices = [("LVLM, the pack's defaults |", LvlmMaps(model, batch_size=_BATCH))]
    choices.append(("LVLM, the upstream reading |", LvlmMaps(model, reading="upstream", batch_size=_BATCH)))
    for method in list_lvlm_methods():
        if method != FEW_HEADS:
            choices += [
                (f"LVLM {method} | {layer}", LvlmMaps(model, method, (layer,), batch_size=_BATCH)) for layer in layers
            ]
    choices.append(
        (f"LVLM {FEW_HEADS}, each question's own |", LvlmMaps(model, FEW_HEADS, batch_size=_BATCH, heads=()))
    )
    return [LvlmLayers(model, choices)]


def raw_part(heatmap: Heatmap, part: str) -> list[np.ndarray]:
    """One raw part of every picture's map, of the whole text, at the picture's size, bilinear."""
    return [
        compose([replace(view, values=view.values[:1]) for view in picture.parts[part]], picture.size, "bilinear")[
            0
        ].numpy()
        for picture in heatmap.pictures
    ]


def _table(title: str, cases: Sequence[QuestionCase], records: Sequence[Record]) -> Table:
    results = Results.of(cases, records, "scores")
    rows = []
    for row in results.found[0] if results.found else ():
        name, _, layer = row.partition(" |")
        own = [(one[row], number) for one, number in zip(results.found, results.pictures, strict=True) if row in one]
        pictures = [number for _, number in own]
        cells = (percent([scores[i] for scores, _ in own], pictures) for i in range(len(SCORES)))
        rows.append((name, layer.strip(), *cells))
    return Table(title, ("map", "layer", *SCORES), tuple(rows), results.notes(NOTE))
