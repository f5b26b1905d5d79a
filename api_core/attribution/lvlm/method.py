"""What a method is asked for and gives, and what methods have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared, PromptRow, Reply
from ...models.lvlm.attention.layer_recorder import LayerRows, RowReducer
from ...models.lvlm.attention.recorder import RecordedAttention, placed_image_positions
from ...models.lvlm.attention.rows import answer_rows
from ...models.lvlm.model import LvlmModel
from ...progress import Progress


@dataclass(frozen=True)
class LvlmRequest:
    """What is wanted of some cases. layers: 0 … depth - 1. answers: one per case, None to generate it. question_rows:
    whether the question's words are read too."""

    layers: tuple[int, ...]
    answers: tuple[Reply | None, ...]
    max_new_tokens: int
    question_rows: bool
    reading: Reading
    on_progress: Progress


@dataclass(frozen=True)
class TokenRelevance:
    """How relevant one case's image tokens are to each word of the question, float32 [Q, n], and to each token of the
    reply, [R, n]. The tokens stand in the order of `placed_image_positions`; 0 for those that were not counted."""

    reply: Reply
    question: Tensor
    answer: Tensor


def averaged_over_layers(
    model: LvlmModel,
    prepared: Prepared,
    request: LvlmRequest,
    reduce: RowReducer,
    *,
    sink_activation: float | None = None,
) -> list[TokenRelevance]:
    """Read the rows once, make one map [R, n] of each layer's by `reduce`, and take the layers' mean."""
    rows = answer_rows(
        model,
        prepared,
        layers=request.layers,
        answers=request.answers,
        max_new_tokens=request.max_new_tokens,
        question_rows=request.question_rows,
        reduce=reduce,
        sink_activation=sink_activation,
        on_progress=request.on_progress,
    )
    counts = [len(placed_image_positions(model, row)) for row in prepared.rows]
    return [_mean_of_layers(read, count) for read, count in zip(rows, counts, strict=True)]


def _mean_of_layers(read: RecordedAttention, count: int) -> TokenRelevance:
    return TokenRelevance(read.reply, mean_over_layers(read.question, count), mean_over_layers(read.answer, count))


def mean_over_layers(kept: Mapping[int, Sequence[Tensor]], count: int) -> Tensor:
    """The mean of the layers' first tensors [R, n]; [0, n] where no row was read."""
    maps = [tensors[0] for tensors in kept.values() if len(tensors)]
    return torch.stack(maps).mean(0) if maps else torch.zeros(0, count)


def countable_tokens(row: PromptRow, reading: Reading) -> Tensor:
    """Which image tokens take part: bool [n].

    In the precise reading those that lie on the picture and saw it. In the upstream reading all, as in the official
    code: padding, and tokens without a place such as the ends of lines, keep their share of the softmax and are not
    drawn.
    """
    places = row.layouts or ()
    if reading == "upstream":
        return torch.ones(sum(len(picture.positions) for picture in places), dtype=torch.bool)
    seen = torch.zeros(row.length, dtype=torch.bool)
    for picture in places:
        for grid in picture.grids:
            seen[grid.tokens[grid.valid]] = True
    return torch.cat([seen[picture.positions] for picture in places])


def countable(rows: LayerRows, reading: Reading) -> Tensor:
    """`countable_tokens` of the rows' case, where its scores are."""
    return countable_tokens(rows.row, reading).to(rows.scores.device)
