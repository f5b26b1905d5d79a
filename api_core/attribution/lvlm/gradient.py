"""Gradient-weighted attention: where more attention would have made the answer likelier.

After "Generic Attention-model Explainability" (Chefer et al., ICCV 2021, arXiv 2103.15679), whose rule for one layer is
the heads' mean of the positive part of attention times its gradient; as a map of a vision-language model it is one of
the three of "MLLMs Know Where to Look" (arXiv 2502.17422). Taken here of the wanted layers only and of the rows that
predict the answer, with respect to the log-probability of the answer's words together.
"""

from typing import cast

import torch
from torch import Tensor

from ...models.conversation.case import Prepared, Reply
from ...models.lvlm.attention.gradients import attention_gradients
from ...models.lvlm.attention.recorder import question_positions
from ...models.lvlm.generate.teacher_forcing import part_of
from ...models.lvlm.model import LvlmModel
from ...models.vision_language import VisionLanguageModel, require
from ...progress import share_of
from .method import LvlmRequest, TokenRelevance, countable_tokens


def compute(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[TokenRelevance]:
    """Attention times gradient, its positive part, averaged over heads and layers; one backward pass per case."""
    require(model, "gradients", "The method gradient")
    replies = _replies(model, prepared, request)
    own = cast(LvlmModel, model)
    found = []
    for index, reply in enumerate(replies):
        found.append(_of_case(own, part_of(own, prepared, [index]), reply, request))
        request.on_progress(len(replies) + index + 1, 2 * len(replies))
    return found


def _replies(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[Reply]:
    """The given answers, and the others generated together."""
    missing = [i for i, answer in enumerate(request.answers) if answer is None]
    generated = []
    if missing:
        part = part_of(model, prepared, missing)
        first_half = share_of(request.on_progress, 0, 0.5)
        generated = model.generate(part, max_new_tokens=request.max_new_tokens, on_progress=first_half)
    by_case = dict(zip(missing, generated, strict=True))
    return [by_case[i] if answer is None else answer for i, answer in enumerate(request.answers)]


def _of_case(model: LvlmModel, prepared: Prepared, reply: Reply, request: LvlmRequest) -> TokenRelevance:
    row = prepared.rows[0]
    asking = question_positions(row)
    answering = tuple(range(row.length - 1, row.length - 1 + len(reply.token_ids)))
    positions = sorted({*asking, *answering})
    words = [i for word in reply.words for i in range(word.first, word.last)] or range(len(reply.token_ids))
    maps = [
        (layer.weights * layer.gradients).clamp(min=0).mean(0)
        for layer in attention_gradients(
            model, prepared, reply, layers=request.layers, positions=positions, tokens=list(words)
        )
    ]
    values = torch.stack(maps).mean(0) * countable_tokens(row, request.reading)

    def at(wanted: tuple[int, ...]) -> Tensor:
        return values[[positions.index(position) for position in wanted]]

    return TokenRelevance(reply, at(asking), at(answering))
