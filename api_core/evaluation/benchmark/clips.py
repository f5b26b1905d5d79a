"""Do the masks of a clip stand still where nothing moves, and still follow what does?

A thing crosses a drawn scene; every frame has noise and a brightness of its own, as a camera gives it. The mask of each
frame by itself stands beside masks on one scale, averaged over time, and of frames that were not all read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...attribution import clip_heatmap
from ...choices import BATCH_SCALES
from ...masks import MaskSettings, tune
from ...models.clip import ClipModel
from ...progress import Progress, ignore_progress
from ...results import Heatmap
from ...scenes import SceneOptions, draw_scene, make_scene
from ...scenes.captions import with_article
from ...scenes.crossing import crossing, in_front
from ..cases import QuestionCase, SceneReference
from ..runner.map_sources import identity
from ..runner.results_file import Record
from ..scorers.localisation import score_map
from ..tables import Table, mean_with_interval, percent, resampled
from .experiment import Experiment, Results, failures
from .splits import PAIRS, Split, boxes_of, drawn_scenes

FRAMES = 24
STEP = 0.07
NOISE, LIGHT = 0.04, 0.05
"""Standard deviations of each pixel's noise, and of a frame's brightness."""
_MARGIN = 0.1
_DRAWS = 4000

CROSSED = Split(
    "clips",
    SceneOptions(objects=(3, 5), radius=(0.09, 0.16), square_share=0.0, aspects=(1.5, 16 / 9), overlap=0.0, spoil=0.0),
    sides=(224,),
)
"""Wide pictures in which a thing that colour and shape tell from the others crosses."""


@dataclass(frozen=True)
class Row:
    """A way to make the masks of a clip."""

    name: str
    settings: MaskSettings
    every: int = 1


_ONE_SCALE = MaskSettings(scale=BATCH_SCALES[1])
ROWS = (
    Row("frame by frame", MaskSettings()),
    *(Row(f"frame by frame, steady {radius}", MaskSettings(steady=radius)) for radius in (1, 2)),
    Row("one scale", _ONE_SCALE),
    *(Row(f"one scale, steady {n}", MaskSettings(scale=BATCH_SCALES[1], steady=n)) for n in (1, 2, 3)),
    *(Row(f"one scale, every {every}", _ONE_SCALE, every) for every in (2, 3, 4)),
    Row("one scale, steady 1, every 2", MaskSettings(scale=BATCH_SCALES[1], steady=1), 2),
)


@dataclass(frozen=True)
class Clip:
    """frames: [T, H, W, 3]. boxes: of the thing, [T, 4], (left, top, right, bottom); zeros where it is not in sight.
    whole: bool [T], where all of it is in the picture."""

    frames: Tensor
    boxes: np.ndarray
    whole: np.ndarray


def clips(
    model: ClipModel,
    *,
    scenes: int = 100,
    stream: str = "test",
    seed: int = 0,
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """One table of all rows, over so many clips."""
    cases = list(islice(crossed_cases(stream), scenes))
    settings = {
        "benchmark": f"clips, {stream}",
        "model": identity(model),
        "rows": [[row.name, row.every, str(row.settings)] for row in ROWS],
        "frames": [FRAMES, STEP, NOISE, LIGHT],
        "seed": seed,
    }
    experiment = Experiment("clips", folder, on_progress, len(cases))
    records = experiment.run(stream, cases, FollowClips(model, seed), settings)
    return [_table(f"A thing that crosses, {stream} scenes", cases, records)]


def crossed_cases(stream: str) -> Iterator[QuestionCase]:
    """A case for each scene with a thing that is one of its kind, without end; the first such thing crosses."""
    for reference, drawn in drawn_scenes(CROSSED, stream):
        for concept in PAIRS:
            if len(found := concept.found_in(drawn.scene)) == 1:
                name = f"clips {stream} {reference.number}"
                yield QuestionCase(name, reference, with_article(concept.phrase), (), *boxes_of(drawn, found), "clip")
                break


def draw_clip(case: QuestionCase, seed: int = 0) -> Clip:
    """The frames of a case's clip. seed: of noise and light."""
    reference = case.picture
    assert isinstance(reference, SceneReference)
    scene = make_scene(reference.number, reference.stream, reference.options)
    (mover,) = (i for i, item in enumerate(scene.objects) if with_article(item.name) == case.question)
    rng = np.random.default_rng([seed, zlib.crc32(case.id.encode())])
    frames, boxes, seen = [], [], []
    for moved in crossing(in_front(scene, mover), FRAMES, STEP):
        drawn = draw_scene(moved, reference.height, reference.width)
        light = 1 + LIGHT * rng.standard_normal()
        noise = NOISE * rng.standard_normal(drawn.picture.shape, np.float32)
        frames.append(np.clip(light * drawn.picture + noise, 0, 1).astype(np.float32))
        boxes.append(drawn.boxes[-1])
        seen.append(float(drawn.masks[-1].sum()))
    return Clip(torch.from_numpy(np.stack(frames)), np.stack(boxes), np.array(seen) > 0.98 * max(seen))


@dataclass(frozen=True)
class FollowClips:
    """The work of `runner.run_cases`: of every row, by its name, what `judge` says of its masks."""

    model: ClipModel
    seed: int = 0

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        return [{"kind": case.kind, "clip": self._follow(case, on_progress)} for case in cases]

    def _follow(self, case: QuestionCase, on_progress: Progress) -> dict[str, list[float]]:
        clip = draw_clip(case, self.seed)
        maps: dict[int, Heatmap] = {}
        found = {}
        for row in ROWS:
            on_progress(0, 1)
            if row.every not in maps:
                pictures = list(clip.frames)
                maps[row.every] = clip_heatmap(self.model, pictures, case.question, words=False, every=row.every)
            masks = tune(maps[row.every], row.settings).batch
            assert masks is not None
            found[row.name] = [round(value, 6) for value in judge(masks.numpy(), clip)]
        return found


def judge(masks: np.ndarray, clip: Clip) -> tuple[float, float, float, float]:
    """Of masks [T, H, W]: flicker, the mean change from frame to frame off the thing; the mean in the thing's box, and
    the share of frames whose peak lies there, where all of it is in sight; the mean peak where nothing of it is."""
    height, width = masks.shape[1:]
    off = np.ones(masks.shape, bool)
    margin = _MARGIN * min(height, width)
    there = clip.boxes[:, 2] > clip.boxes[:, 0]
    for frame in np.flatnonzero(there):
        left, top, right, bottom = clip.boxes[frame] + np.array([-margin, -margin, margin, margin])
        off[frame, max(0, int(top)) : int(np.ceil(bottom)), max(0, int(left)) : int(np.ceil(right))] = False
    still = off[1:] & off[:-1]
    changes = np.abs(np.diff(masks, axis=0))
    flicker = np.mean([change[here].mean() for change, here in zip(changes, still, strict=True) if here.any()])
    inside, pointing = [], []
    for frame in np.flatnonzero(clip.whole):
        left, top, right, bottom = clip.boxes[frame].astype(int)
        inside.append(masks[frame, top:bottom, left:right].mean())
        pointing.append(score_map(masks[frame], clip.boxes[frame][None], 0).pointing)
    empty = masks[~there].max((1, 2)).mean()
    return float(flicker), float(np.mean(inside)), float(np.mean(pointing)), float(empty)


def _table(title: str, cases: Sequence[QuestionCase], records: Sequence[Record]) -> Table:
    results = Results.of(cases, records, "clip")
    values = {row.name: np.array([found[row.name] for found in results.found]) for row in ROWS}
    plain = values[ROWS[0].name]
    rows = []
    for name, own in values.items():
        sums, drawn = resampled([plain[:, 0], own[:, 0]], results.pictures, _DRAWS)
        ratio, spread = sums[1].sum() / sums[0].sum(), 1.96 * float((drawn[1] / drawn[0]).std())
        flicker, half = mean_with_interval(list(1000 * own[:, 0]), results.pictures)
        gain = percent(list(own[:, 2] - plain[:, 2]), results.pictures, signed=True)
        is_first = own is plain
        rows.append(
            (
                name,
                f"{flicker:.1f} ± {half:.1f}",
                "" if is_first else f"{ratio:.2f} ± {spread:.2f}",
                percent(list(own[:, 2]), results.pictures),
                "" if is_first else gain,
                f"{own[:, 1].mean():.2f}",
                f"{own[:, 3].mean():.2f}",
            )
        )
    note = (
        f"{len(results.found)} clips of {FRAMES} frames; the thing moves by {100 * STEP:.0f} % of the width a frame. "
        "*Flicker*: the mean change of the mask from frame to frame off the thing, x 1000, and beside it that of frame "
        "by frame = 1; ± half the 95 % interval, by clip. *Pointing*: % of the frames with all of the thing in sight "
        "whose brightest point lies in its box, and the paired difference. *In the box*: the mean mask there. *Empty*: "
        "the brightest point of frames without the thing."
    )
    columns = ("masks", "flicker", "of frame by frame", "pointing", "against it", "in the box", "empty")
    return Table(title, columns, tuple(rows), (note, *failures(results.failed)))
