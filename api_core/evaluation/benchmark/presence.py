"""Does a map's presence tell what is in the picture from what is not?

Of every scene things are named that are there; things whose colour and whose shape are both there, on others
(adversarial); and things of which neither is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...models.clip import ClipModel
from ...presence_score import presence
from ...progress import Progress, ignore_progress
from ...scenes.captions import Concept, with_article
from ...scenes.world import stream_generator
from ..cases import QuestionCase, pictures_of
from ..runner.map_sources import ClipMaps, identity
from ..runner.results_file import Record
from ..tables import Table, percent, picture_numbers
from .experiment import Experiment, Results
from .splits import HARD, LOCALISATION, PAIRS, Split, boxes_of, drawn_scenes

PRESENT = "there"
ABSENT = ("adversarial", "other")
ASKED_AS = {"named": "{}", "asked": "Is there {}?"}
PER_KIND = 3
"""Things of each kind that are named in one scene."""
THRESHOLDS = (1.0, 2.0, 3.0, 4.0)

_NAMING = 10  # the purpose of the random numbers that choose what is named
_BATCH = 24
_DRAWS = 1000


def presence_cases(split: Split, stream: str, scenes: int) -> list[QuestionCase]:
    """The things named in the first `scenes` scenes, as "a red star"; their kind says whether they are there."""
    cases = []
    for scene, drawn in islice(drawn_scenes(split, stream), scenes):
        items = drawn.scene.objects
        colours, shapes = {item.colour for item in items}, {item.shape for item in items}
        pools: dict[str, list[Concept]] = {PRESENT: [], **{kind: [] for kind in ABSENT}}
        for concept in PAIRS:
            if concept.found_in(drawn.scene):
                pools[PRESENT].append(concept)
            elif concept.colour in colours and concept.shape in shapes:
                pools["adversarial"].append(concept)
            elif concept.colour not in colours and concept.shape not in shapes:
                pools["other"].append(concept)
        rng = stream_generator(stream, scene.number, _NAMING)
        for kind, pool in pools.items():
            for index in rng.permutation(len(pool))[:PER_KIND]:
                concept = pool[int(index)]
                name = f"presence {split.name} {stream} {scene.number} {concept.phrase}"
                boxes = boxes_of(drawn, concept.found_in(drawn.scene))
                cases.append(QuestionCase(name, scene, with_article(concept.phrase), (), *boxes, kind))
    return cases


@dataclass(frozen=True)
class ScorePresence:
    """The work of `runner.run_cases`: the presence of every thing, by each way to ask for it."""

    maps: ClipMaps

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        pictures = pictures_of(cases)
        found: list[dict[str, float]] = [{} for _ in cases]
        for way, text in ASKED_AS.items():
            heatmap = self.maps(pictures, [text.format(case.question) for case in cases], on_progress)
            for outcome, score in zip(found, presence(heatmap), strict=True):
                outcome[way] = round(score, 5)
        return [{"kind": case.kind, "presence": own} for case, own in zip(cases, found, strict=True)]


def presence_benchmark(
    clip: ClipModel,
    *,
    scenes: int = 250,
    stream: str = "test",
    seed: int = 0,
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """How well presence tells there from not there, and what a least presence sets aside, in scenes of 3 to 5 things
    and in hard ones."""
    parts = {split.name: presence_cases(split, stream, scenes) for split in (LOCALISATION, HARD)}
    experiment = Experiment("presence", folder, on_progress, sum(map(len, parts.values())))
    tables = []
    for name, cases in parts.items():
        settings = {"benchmark": f"presence, {name} {stream}", "clip": identity(clip), "seed": seed}
        records = experiment.run(f"{name}-{stream}", cases, ScorePresence(ClipMaps(clip)), settings, batch_size=_BATCH)
        scenes_are = "of 3 to 5 objects" if name == LOCALISATION.name else "that are hard: small things, many alike"
        tables += presence_tables(f"{stream} scenes {scenes_are}", cases, records, seed)
    return tables


def presence_tables(title: str, cases: Sequence[QuestionCase], records: Sequence[Record], seed: int = 0) -> list[Table]:
    """How well the kinds of absent things are told from what is there; the shares of each kind above thresholds."""
    results = Results.of(cases, records, "presence")
    numbers = picture_numbers(results.cases)
    of_kind = {kind: [i for i, case in enumerate(results.cases) if case.kind == kind] for kind in (PRESENT, *ABSENT)}
    told = []
    for way, text in ASKED_AS.items():
        scores = {kind: [results.found[i][way] for i in of_kind[kind]] for kind in of_kind}
        pictures = {kind: [numbers[i] for i in of_kind[kind]] for kind in of_kind}
        cells = [auroc_text(scores[PRESENT], scores[kind], pictures[PRESENT], pictures[kind], seed) for kind in ABSENT]
        told.append((text.format("a red star"), *cells, *(_spread(scores[kind]) for kind in of_kind)))
    first = next(iter(ASKED_AS))
    kept = []
    for least in THRESHOLDS:
        shares = []
        for indices in of_kind.values():
            above = [float(results.found[i][first] >= least) for i in indices]
            shares.append(percent(above, [numbers[i] for i in indices]))
        kept.append((f"{least:g}", *shares))
    counts = ", ".join(f"{len(of_kind[kind])} {kind}" for kind in of_kind)
    note = (
        "*AUROC*: how often a thing that is there has the higher presence of two, 50 is chance; percent, with the 95 % "
        f"interval of {_DRAWS} resampled sets of pictures. *adversarial*: its colour and its shape are both there, on "
        f"other things; *other*: neither is. Then the median presence and its range from 10 to 90 %. Things: {counts}."
    )
    columns = ("asked", *(f"AUROC, {kind}" for kind in ABSENT), *of_kind)
    least_note = "Percent of the things named whose presence is not below it ± half the 95 % interval, by picture."
    return [
        Table(f"Presence, {title}", columns, tuple(told), results.notes(note)),
        Table(f"What least_presence keeps, {title}", ("least presence", *of_kind), tuple(kept), (least_note,)),
    ]


def _spread(scores: Sequence[float]) -> str:
    if not scores:
        return "–"  # noqa: RUF001 - a dash in a table is meant
    low, middle, high = np.quantile(scores, [0.1, 0.5, 0.9])
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


def auroc(there: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """For each pair of a thing that is there and one that is not whether it has the higher score, equal ones half:
    [there, absent]; its mean is the area under the curve (Hanley and McNeil, 1982)."""
    above = there[:, None] - absent[None]
    return (np.sign(above) + 1) / 2


def auroc_text(
    there: Sequence[float],
    absent: Sequence[float],
    pictures_there: Sequence[int],
    pictures_absent: Sequence[int],
    seed: int = 0,
) -> str:
    """ "98.5 [97.9, 99.0]": the area in percent and its 95 % interval, whole pictures drawn anew."""
    if not there or not absent:
        return "–"  # noqa: RUF001 - a dash in a table is meant
    wins = auroc(np.asarray(there, float), np.asarray(absent, float))
    rng = np.random.default_rng(seed)
    count = 1 + max(*pictures_there, *pictures_absent)
    areas = []
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        rows, columns = times[np.asarray(pictures_there)], times[np.asarray(pictures_absent)]
        if rows.any() and columns.any():
            areas.append(rows @ wins @ columns / (rows.sum() * columns.sum()))
    low, high = np.quantile(areas, [0.025, 0.975])
    return f"{100 * wins.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"
