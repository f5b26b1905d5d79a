"""What a method is asked for and gives, and what methods have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared, PromptRow, Reply
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.lvlm.attention.recorder import placed_image_positions
from ...models.lvlm.attention.rows import answer_rows
from ...models.lvlm.calibration import Head
from ...models.vision_language import VisionLanguageModel
from ...progress import Progress


@dataclass(frozen=True)
class LvlmRequest:
    """What is wanted of some cases. layers: 0 … depth - 1. answers: one per case, None to generate it. heads: those
    that are read, for a method of single heads; none for its own choice."""

    layers: tuple[int, ...]
    answers: tuple[Reply | None, ...]
    max_new_tokens: int
    reading: Reading
    on_progress: Progress
    heads: tuple[Head, ...] = ()


@dataclass(frozen=True)
class WhatIsRead:
    """Of a model, for a method: the layers, the heads where single ones are read, and a word on how they were found."""

    layers: tuple[int, ...]
    heads: tuple[Head, ...] = ()
    found: str = ""


@dataclass(frozen=True)
class TokenRelevance:
    """How relevant one case's image tokens are to each word of the question, float32 [Q, n], and to each token of the
    reply, [R, n]. The tokens stand in the order of `placed_image_positions`; 0 for those that were not counted.

    signed: whether values below zero speak against the words.
    """

    reply: Reply
    question: Tensor
    answer: Tensor
    signed: bool = False


MapOfRows = Callable[[LayerRows, Reading], Tensor]
"""Makes of some rows of a layer their map: relevance [R, n] of the case's image tokens."""


def averaged_over_layers(
    model: VisionLanguageModel,
    prepared: Prepared,
    request: LvlmRequest,
    map_of_rows: MapOfRows,
    *,
    sink_activation: float | None = None,
) -> list[TokenRelevance]:
    """Read the rows once, make a map of each layer's, and take the layers' mean."""
    rows = answer_rows(
        model,
        prepared,
        layers=request.layers,
        answers=request.answers,
        max_new_tokens=request.max_new_tokens,
        question_rows=True,
        reduce=lambda read: (map_of_rows(read, request.reading),),
        sink_activation=sink_activation,
        on_progress=request.on_progress,
    )
    relevance = []
    for recorded, row in zip(rows, prepared.rows, strict=True):
        count = len(placed_image_positions(model, row))
        question, answer = (mean_over_layers(kept, count) for kept in (recorded.question, recorded.answer))
        relevance.append(TokenRelevance(recorded.reply, question, answer))
    return relevance


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
