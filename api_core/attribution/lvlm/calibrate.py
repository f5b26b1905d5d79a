"""Which heads and which layer of a model find what is asked for, measured once on drawn scenes whose boxes are known.

Each scene is asked about one of its things, and in the prompt's last row, which predicts the answer's first token,
every head's map is compared with that thing's box. No answer is generated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from ...choices import CALIBRATION_SCENES
from ...errors import InvalidInput, UnsupportedModel
from ...models.conversation.case import Case, PromptRow
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.lvlm.attention.rows import prompt_rows
from ...models.lvlm.calibration import Calibration, Head, digests_of
from ...models.lvlm.model import LvlmModel
from ...models.vision_language import require
from ...progress import Progress, ignore_progress
from ...results import Box
from ...scenes import SceneOptions, draw_scene, make_scene
from ...scenes.questions import Question, ask
from ...scenes.world import stream_generator
from .few_heads import COUNT, cells_of_grids, looking
from .method import countable_tokens

SIDE = 336
"""The root of a scene's area in pixels."""
KINDS = ("colour", "shape", "verify", "where")
"""Of question: those about one thing, which others may be mistaken for."""
_OPTIONS = SceneOptions(objects=(3, 5), radius=(0.08, 0.2), overlap=0.0)
# Beside the scenes that benchmarks choose on, which count from 0.
_STREAM, _FIRST = "development", 100_000
_ASKING = 8  # the purpose of the random numbers that choose the question of a scene
_ERRORS = 2.0  # standard errors by which the best head has to be above chance


@dataclass(frozen=True)
class Measured:
    """How well a map finds what was asked for, means over scenes of 0..1. pointing: how far its greatest cell lies in
    the thing's box (1 where either holds the other). inside: the share of it that lies there."""

    pointing: float
    inside: float


@dataclass(frozen=True)
class CalibrationReport:
    """What was chosen, and the figures: of each layer that sees the picture, all its heads counting alike, and of each
    chosen head, the best first. chance: pointing of a cell drawn by lot."""

    chosen: Calibration
    layers: tuple[tuple[int, Measured], ...]
    heads: tuple[tuple[Head, Measured], ...]
    chance: float


@dataclass(frozen=True)
class _Target:
    """Of each image token of a case: share [n], the part of its cell that lies in the wanted box; hit [n], the same of
    the smaller of cell and box; counted [n], whether it takes part."""

    share: Tensor
    hit: Tensor
    counted: Tensor


def calibrate(
    model: LvlmModel, *, scenes: int = CALIBRATION_SCENES, on_progress: Progress = ignore_progress
) -> CalibrationReport:
    """Choose the heads and the layer on `scenes` drawn scenes; nothing is kept (see `save_calibration`).

    Heads: of those that look at the picture, by the elbow of their mean attention to it, the `COUNT` that point best,
    of equal ones those with most inside. Layer: the mean of whose heads, as `attention` makes it, points best. Raises
    UnsupportedModel where no head is better than chance for certain.
    """
    if scenes < 2:
        raise InvalidInput(f"A calibration needs at least 2 scenes, not {scenes}.")
    require(model, "places")
    model.resolve_layers(None)  # refuses a model that shows no attention
    layers = model.seeing_layers
    found: list[dict[int, tuple[Tensor, ...]]] = []
    chances = []
    for done, (case, box) in enumerate(islice(_asked(), scenes)):
        on_progress(done, scenes)
        prepared = model.prepare([case])
        target = _target(prepared.rows[0], box)
        (read,) = prompt_rows(model, prepared, layers=layers, reduce=_Scores(target))
        found.append(read)
        chances.append(float(target.hit[target.counted].mean()))
    on_progress(scenes, scenes)
    return _chosen(model, layers, found, float(np.mean(chances)))


@dataclass(frozen=True)
class _Scores:
    """What is kept of a layer's row: of each head [1, H] its hit, share inside and attention to the picture; hit and
    share [1] of the mean of its heads."""

    target: _Target

    def __call__(self, rows: LayerRows) -> tuple[Tensor, ...]:
        counted = self.target.counted.to(rows.scores.device)
        maps = (rows.probabilities[:, 0] * counted).cpu()
        together = rows.among_image(counted)[:, 0].mean(0, keepdim=True).cpu()
        alone, (all_hit, all_inside) = self._score(maps), self._score(together)
        return (*(score[None] for score in (*alone, maps.sum(-1))), all_hit, all_inside)

    def _score(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        total = maps.sum(-1)
        inside = (maps @ self.target.share) / total.clamp(min=torch.finfo(maps.dtype).tiny)
        return self.target.hit[maps.argmax(-1)] * (total > 0), inside


def _chosen(
    model: LvlmModel, layers: Sequence[int], found: Sequence[dict[int, tuple[Tensor, ...]]], chance: float
) -> CalibrationReport:
    hits, inside, mass, all_hits, all_inside = (
        {layer: torch.cat([one[layer][i] for one in found]).double() for layer in layers} for i in range(5)
    )
    whole = {layer: Measured(float(all_hits[layer].mean()), float(all_inside[layer].mean())) for layer in layers}
    best_layer = max(layers, key=lambda layer: (whole[layer].pointing, whole[layer].inside))
    heads = [(layer, head) for layer in layers for head in range(hits[layer].shape[1])]
    each = {
        (layer, head): Measured(float(hits[layer][:, head].mean()), float(inside[layer][:, head].mean()))
        for layer, head in heads
    }
    looks = looking(torch.cat([mass[layer].mean(0) for layer in layers]))
    able = [head for head, passes in zip(heads, looks.tolist(), strict=True) if passes]
    best = sorted(able, key=lambda head: (-each[head].pointing, -each[head].inside))[:COUNT]
    _require_better_than_chance(model.name, [hits[layer][:, head] for layer, head in best[:1]], chance)
    chosen = Calibration(model.name, digests_of(model.module), best_layer, tuple(best), len(found))
    return CalibrationReport(chosen, tuple(whole.items()), tuple((head, each[head]) for head in best), chance)


def _require_better_than_chance(name: str, best: Sequence[Tensor], chance: float) -> None:
    for hits in best:
        if float(hits.mean()) - _ERRORS * float(hits.std()) / len(hits) ** 0.5 > chance:
            return
    reached = f"{100 * float(best[0].mean()):.0f} %" if best else "none looks at the picture"
    raise UnsupportedModel(
        f"No head of {name} finds what is asked for ({reached} of peaks on it, {100 * chance:.0f} % by chance), so "
        "there is nothing to keep. Read this model with the method `gradient`, or take the map from a CLIP."
    )


def _asked() -> Iterator[tuple[Case, Box]]:
    """Questions about one thing of a scene and that thing's box, one of each scene that allows it, without end."""
    for number in count_from(_FIRST):
        scene = make_scene(number, _STREAM, _OPTIONS)
        if len(scene.objects) < _OPTIONS.objects[0]:
            continue
        drawn = draw_scene(scene, round(SIDE * scene.height), round(SIDE * scene.width))
        questions = ask(drawn, stream_generator(_STREAM, number, _ASKING), KINDS)
        if questions:
            question: Question = questions[number % len(questions)]
            (index,) = question.objects
            yield Case((torch.from_numpy(drawn.picture),), question.text), Box(*drawn.boxes[index].tolist())


def _target(row: PromptRow, box: Box) -> _Target:
    counted = countable_tokens(row, "precise")
    share, hit = torch.zeros(len(counted)), torch.zeros(len(counted))
    grids = [grid for picture in row.layouts or () for grid in picture.grids]
    for cells, grid in zip(cells_of_grids(row), grids, strict=True):
        down = _overlap(grid.box.top, grid.box.bottom, cells.shape[0], box.top, box.bottom)
        across = _overlap(grid.box.left, grid.box.right, cells.shape[1], box.left, box.right)
        area = grid.box.height / cells.shape[0] * grid.box.width / cells.shape[1]
        common = down[:, None] * across
        share[cells] = common / area
        hit[cells] = common / min(area, box.width * box.height)
    return _Target(share, hit.clamp(max=1), counted)


def _overlap(first: float, last: float, cells: int, begin: float, end: float) -> Tensor:
    """The length that each of `cells` equal parts of [first, last] has in common with [begin, end]: [cells]."""
    edges = torch.linspace(first, last, cells + 1)
    return (edges[1:].clamp(max=end) - edges[:-1].clamp(min=begin)).clamp(min=0)
