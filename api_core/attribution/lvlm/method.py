"""What a method is asked for and gives, and what methods have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared, Reply, Row
from ...models.lvlm.attention.layer_recorder import LayerRows, Reduce
from ...models.lvlm.attention.recorder import RowAttention, image_columns
from ...models.lvlm.attention.rows import answer_rows
from ...models.lvlm.model import LvlmModel
from ...progress import Progress


@dataclass(frozen=True)
class Asked:
    """What is wanted of some cases. layers: 0 … depth - 1. answers: one per case, None to generate it. question_rows:
    whether the question's words are read too."""

    layers: tuple[int, ...]
    answers: tuple[Reply | None, ...]
    max_new_tokens: int
    question_rows: bool
    reading: Reading
    on_progress: Progress


@dataclass(frozen=True)
class Relevance:
    """How relevant one case's image tokens are to each word of the question, float32 [Q, n], and to each token of the
    reply, [R, n]. The tokens stand in the order of `image_columns`; 0 for those that were not counted."""

    reply: Reply
    question: Tensor
    answer: Tensor


def from_layers(
    model: LvlmModel, prepared: Prepared, asked: Asked, reduce: Reduce, *, massive: float | None = None
) -> list[Relevance]:
    """Read the rows once, make one map [R, n] of each layer's by `reduce`, and take the layers' mean."""
    rows = answer_rows(
        model,
        prepared,
        layers=asked.layers,
        answers=asked.answers,
        max_new_tokens=asked.max_new_tokens,
        question_rows=asked.question_rows,
        reduce=reduce,
        massive=massive,
        on_progress=asked.on_progress,
    )
    counts = [len(image_columns(model, row)) for row in prepared.rows]
    return [_mean_of_layers(read, count) for read, count in zip(rows, counts, strict=True)]


def _mean_of_layers(read: RowAttention, count: int) -> Relevance:
    return Relevance(read.reply, mean_over_layers(read.question, count), mean_over_layers(read.answer, count))


def mean_over_layers(kept: Mapping[int, Sequence[Tensor]], count: int) -> Tensor:
    """The mean of the layers' first tensors [R, n]; [0, n] where no row was read."""
    maps = [tensors[0] for tensors in kept.values() if len(tensors)]
    return torch.stack(maps).mean(0) if maps else torch.zeros(0, count)


def counted_tokens(row: Row, reading: Reading) -> Tensor:
    """Which image tokens take part: bool [n].

    In the precise reading those that lie on the picture and saw it. In the upstream reading all, as in the official
    code: padding, and tokens without a place such as the ends of lines, keep their share of the softmax and are not
    drawn.
    """
    places = row.places or ()
    if reading == "upstream":
        return torch.ones(sum(len(picture.positions) for picture in places), dtype=torch.bool)
    seen = torch.zeros(row.length, dtype=torch.bool)
    for picture in places:
        for grid in picture.grids:
            seen[grid.tokens[grid.valid]] = True
    return torch.cat([seen[picture.positions] for picture in places])


def counted(rows: LayerRows, reading: Reading) -> Tensor:
    """`counted_tokens` of the rows' case, where its scores are."""
    return counted_tokens(rows.row, reading).to(rows.scores.device)
