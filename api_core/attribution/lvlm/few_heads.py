"""The few heads that find what was asked for, after "Your Large Vision-Language Model Only Needs A Few Attention Heads
For Visual Grounding" (Kang et al., CVPR 2025, arXiv 2503.06287).

Most heads look at text, or all over the picture. In the prompt's last row, which predicts the answer's first token, a
head of any layer is measured twice: by S, its attention to the picture, and by its spatial entropy H. With b the part
of its map above the map's mean, cut at a thousandth of its greatest value, and p the shares of b that lie in each of
its 8-connected parts, H = -sum p log p: 0 for one blob. Heads that look at the picture, by the elbow of the sorted S,
are kept, of those the three of least H (and those that equal the third), and their attention in the answer's rows is
summed. So no layer is chosen.

The paper fixes the heads by how often they are among the best on 1000 labelled expressions; here they are those of each
question, or those that `calibrate` found for the model. Its published code compares a head's number with the elbow's
where its formula compares S, and cuts b at an absolute value, which depends on how many tokens there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...errors import InvalidInput
from ...models.conversation.case import Prepared, PromptRow
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.lvlm.attention.recorder import RecordedRows, placed_image_positions
from ...models.lvlm.attention.rows import answer_rows
from ...models.lvlm.calibration import Head, find_calibration
from ...models.vision_language import VisionLanguageModel
from .method import LvlmRequest, TokenRelevance, WhatIsRead, countable

COUNT = 3
"""Heads whose maps are summed, as in the paper; more where several are equal."""
_CUT = 1e-3  # of the greatest value; what is less is no part of a map


def what_is_read(model: VisionLanguageModel, layers: Sequence[int] | None, heads: Sequence[Head] | None) -> WhatIsRead:
    """The heads given, or those that a calibration kept for this model; without either, all that can see the picture,
    or all of the layers given: each question then has its own. No heads at all (`()`) leave the calibration out."""
    if layers and heads:
        raise InvalidInput(f"The heads {heads} and the layers {list(layers)} were given. Give one of them.")
    if layers:
        return WhatIsRead(model.resolve_layers(layers))
    calibration = find_calibration(model) if heads is None else None
    chosen = tuple(heads or ()) if calibration is None else calibration.heads
    if not chosen:
        model.resolve_layers(None)  # refuses a model that shows none
        return WhatIsRead(model.seeing_layers)
    chosen = tuple((model.resolve_layers([layer])[0], head) for layer, head in chosen)
    return WhatIsRead(
        tuple(sorted({layer for layer, _ in chosen})), chosen, "" if calibration is None else "calibrated"
    )


def compute(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[TokenRelevance]:
    """The summed attention of `request.heads`, or without any of the best heads of each case."""
    looks = HeadsOfCases(request)
    rows = answer_rows(
        model,
        prepared,
        layers=request.layers,
        answers=request.answers,
        max_new_tokens=request.max_new_tokens,
        question_rows=True,
        reduce=looks.reduce,
        look=None if request.heads else looks,
        on_progress=request.on_progress,
    )
    relevance = []
    for recorded, row in zip(rows, prepared.rows, strict=True):
        count = len(placed_image_positions(model, row))
        question, answer = (looks.summed(recorded.row, kept, count) for kept in (recorded.question, recorded.answer))
        relevance.append(TokenRelevance(recorded.reply, question, answer))
    return relevance


@dataclass(eq=False)
class _Case:
    """What is known of one case's heads, by layer: S and H of each, and those whose maps are kept."""

    row: PromptRow
    mass: dict[int, Tensor] = field(default_factory=dict)
    spread: dict[int, Tensor] = field(default_factory=dict)
    kept: dict[int, list[int]] = field(default_factory=dict)


class HeadsOfCases:
    """The heads of each case, chosen while its prompt is read, and the maps of those that may be chosen.

    In a single pass the rows of a layer have to be kept before the later layers are known. A head that `COUNT` others
    beat, with no less of S and less of H, will never be chosen, so only the others' maps are kept.
    """

    def __init__(self, request: LvlmRequest) -> None:
        self._request = request
        self._cases: dict[int, _Case] = {}

    def look(self, rows: LayerRows) -> None:
        """S and H of the heads of one layer, in the prompt's last row."""
        case = self._case(rows.row)
        if rows.layer in case.mass:  # read a second time, as the first was not whole
            case = self._cases[id(rows.row)] = _Case(rows.row)
        counted = countable(rows, self._request.reading)
        maps = (rows.probabilities[:, 0] * counted).cpu()
        case.mass[rows.layer] = maps.double().sum(-1)
        case.spread[rows.layer] = spatial_entropy(maps, counted.cpu(), rows.row)

    def needed_layers(self) -> set[int]:
        """Those of the heads that are chosen for any case."""
        return {layer for case in self._cases.values() for layer, _ in best_heads(case.mass, case.spread)}

    def reduce(self, rows: LayerRows) -> tuple[Tensor, ...]:
        """The maps [R, K, n] of the heads that may be chosen."""
        heads = self._kept(rows)
        maps = rows.probabilities[heads] * countable(rows, self._request.reading)
        return (maps.transpose(0, 1),)

    def summed(self, row: PromptRow, maps: RecordedRows, count: int) -> Tensor:
        """The sum [R, n] of the maps of the case's heads; [0, n] where no row was read."""
        case = self._case(row)
        chosen = self._request.heads or best_heads(case.mass, case.spread)
        own = [maps[layer][0][:, case.kept[layer].index(head)] for layer, head in chosen if len(maps.get(layer, ()))]
        rows = max((len(kept[0]) for kept in maps.values() if len(kept)), default=0)
        return torch.stack(own).sum(0) if own else torch.zeros(rows, count)

    def _case(self, row: PromptRow) -> _Case:
        # By the row itself, of which every reading has its own; held here, so that its number is not given again.
        return self._cases.setdefault(id(row), _Case(row))

    def _kept(self, rows: LayerRows) -> list[int]:
        case, count = self._case(rows.row), len(rows.scores)
        if rows.layer not in case.kept:
            if self._request.heads:
                kept = [head for layer, head in self._request.heads if layer == rows.layer]
                if any(not 0 <= head < count for head in kept):
                    raise InvalidInput(f"Layer {rows.layer} has the heads 0 to {count - 1}, not {kept}.")
            elif rows.layer in case.mass:
                kept = promising_heads(case.mass, case.spread, rows.layer)
            else:  # keys left the layer's cache before the prompt had gone by: nothing is known yet
                kept = list(range(count))
            case.kept[rows.layer] = kept
        return case.kept[rows.layer]


def spatial_entropy(maps: Tensor, counted: Tensor, row: PromptRow) -> Tensor:
    """H of each map [N, n] of a case's image tokens: float64 [N]; a map that is the same everywhere has log n.

    counted: bool [n], the tokens that take part. The parts are those of all grids of all pictures.
    """
    from scipy import ndimage  # only where heads are chosen: it takes its time to load

    values = maps.double()
    above = ((values - values[:, counted].mean(-1, keepdim=True)).clamp(min=0) * counted).numpy()
    inside = above > _CUT * above.max(-1, keepdims=True)
    in_plane = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])
    owners, masses = [], []
    for cells in cells_of_grids(row):
        shape = (len(maps), *cells.shape)
        labels, found = ndimage.label(inside[:, cells.flatten()].reshape(shape), in_plane)
        owner = np.zeros(found + 1, np.int64)
        owner[labels.reshape(len(maps), -1)] = np.arange(len(maps))[:, None]
        owners.append(owner[1:])
        masses.append(np.bincount(labels.ravel(), above[:, cells.flatten()].ravel(), found + 1)[1:])
    owner, mass = np.concatenate(owners), np.concatenate(masses)
    total = np.bincount(owner, mass, len(maps))
    share = mass / total[owner]
    entropy = np.bincount(owner, -share * np.log(share), len(maps))
    return torch.from_numpy(np.where(total > 0, entropy, np.log(max(1, int(counted.sum())))))


def cells_of_grids(row: PromptRow) -> list[Tensor]:
    """Of each grid of each picture, long [h, w]: the number of each cell's token among the case's image tokens."""
    found, first = [], 0
    for picture in row.layouts or ():
        order = picture.positions
        found += [
            first + torch.searchsorted(order, grid.tokens.flatten()).view(grid.tokens.shape) for grid in picture.grids
        ]
        first += len(order)
    return found


def looking(mass: Tensor) -> Tensor:
    """Which heads look at the picture: bool [N], those from the elbow of their sorted S on. mass: [N].

    The elbow is the point farthest from the line between the least and the greatest. Where it lies below that line it
    is the last of the low ones and left out, where it lies above the first of the high ones. A head that gives the
    picture nothing never passes.
    """
    values = mass.double().sort().values
    along = torch.linspace(0, 1, len(values), dtype=torch.float64)
    gap = values - (values[0] + (values[-1] - values[0]) * along)
    elbow = int(gap.abs().argmax())
    high = mass.double() > values[elbow] if gap[elbow] < 0 else mass.double() >= values[elbow]
    return high & (mass > 0)


Measured = Mapping[int, Tensor]
"""A number for each head, by layer: [H]."""


def best_heads(mass: Measured, spread: Measured) -> tuple[Head, ...]:
    """Of the heads that look at the picture the `COUNT` of least H, and those that are no worse than the last of them:
    maps of one blob are many, and none of them is better."""
    if not mass:
        return ()
    heads = [(layer, head) for layer in mass for head in range(len(mass[layer]))]
    passes = looking(_joined(mass))
    spreads = _joined(spread)
    limit = spreads[passes].sort().values[:COUNT].max() if bool(passes.any()) else 0.0
    return tuple(heads[i] for i in torch.nonzero(passes & (spreads <= limit))[:, 0].tolist())


def promising_heads(mass: Measured, spread: Measured, layer: int) -> list[int]:
    """The heads of a layer that `best_heads` may choose, whatever the layers that are still to come."""
    own_mass, own_spread = mass[layer][:, None], spread[layer][:, None]
    better = (_joined(mass) >= own_mass) & (_joined(spread) < own_spread)
    return torch.nonzero((better.sum(1) < COUNT) & (mass[layer] > 0))[:, 0].tolist()  # type: ignore[no-any-return]


def _joined(measured: Measured) -> Tensor:
    return torch.cat(list(measured.values()))
