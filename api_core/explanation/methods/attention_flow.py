"""Generic attention explainability (Chefer et al., ICCV 2021, arXiv 2103.15679) through a whole decoder: T-MM.

Layer by layer the relevance of every token for every other is R <- R + mean over heads of relu(attention x gradient) R,
from the identity on. Only the answer's rows of the end are wanted, and multiplying them from the left gives the same:
v <- v + v A, from the last layer to the first, so no matrix of all tokens is ever multiplied by another, and only one
layer's attention lies open at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from ...models.conversation.case import Reply
from ...models.lvlm.attention.gradients import attention_gradients
from ...models.lvlm.attention.recorder import placed_image_positions
from ...models.lvlm.model import LvlmModel
from ..answer_scores import AnswerScores
from ..method import ExplainContext, ExplanationMethod, MethodResult
from .token_maps import map_of_tokens


def compute(context: ExplainContext) -> MethodResult:
    """The relevance of the picture's tokens for the rows that predict the explained ones; a gradient pass per layer.

    Against another answer it is what is left when the map for that one is taken away.
    """
    model = cast(LvlmModel, context.model)
    decoder = model.family.layers(model.module)
    layers = [layer for layer in range(model.depth) if hasattr(decoder[layer], "self_attn")]  # of hybrids some
    maps = [sign * _of_answer(context, objective, reply, layers) for sign, objective, reply in context.answers]
    passes = len(layers) * len(maps)
    return MethodResult(torch.stack(maps).sum(0), passes, passes)


def _of_answer(context: ExplainContext, objective: AnswerScores, reply: Reply, layers: Sequence[int]) -> Tensor:
    model = cast(LvlmModel, objective.model)
    prepared = model.prepare([objective.case])
    row = prepared.rows[0]
    columns = placed_image_positions(model, row)
    length = row.length - 1 + len(reply.token_ids)
    relevance = torch.zeros(length)
    relevance[[row.length - 1 + token for token in objective.tokens]] = 1.0
    for done, layer in enumerate(reversed(layers)):
        context.on_progress(done, len(layers))
        (read,) = attention_gradients(
            model,
            prepared,
            reply,
            layers=[layer],
            positions=range(length),
            tokens=objective.tokens,
            columns=torch.arange(length),
        )
        raised = (read.weights * read.gradients).clamp(min=0).mean(0)
        relevance = relevance + relevance @ raised
    return map_of_tokens(objective, row, relevance[columns])


METHOD = ExplanationMethod(
    "attention x gradient",
    compute,
    "How relevance flows through the attention of all layers to the answer; a backward pass per layer.",
    by_gradient=True,
)
