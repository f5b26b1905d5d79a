"""Generic attention explainability (Chefer et al., ICCV 2021, arXiv 2103.15679) through a whole decoder: T-MM.

Layer by layer the relevance of every token for every other is R <- R + mean over heads of relu(attention x gradient) R,
from the identity on. Only the answer's rows of the end are wanted, and multiplying them from the left gives the same:
v <- v + v A, from the last layer to the first, so no matrix of all tokens is ever multiplied by another, and only one
layer's attention lies open at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...models.conversation.case import Reply
from ...models.lvlm.attention.gradients import attention_gradients
from ...models.lvlm.attention.recorder import image_columns
from ..lvlm_subject import AnswerSubject
from ..method import Explaining, ExplanationMethod, Found
from .tokens_map import map_of_tokens


def find(given: Explaining) -> Found:
    """The relevance of the picture's tokens for the rows that predict the explained ones; a gradient pass per layer.

    Against another answer it is what is left when the map for that one is taken away.
    """
    replies: list[Reply] = [given.reply, *([] if given.other is None else [given.other])]
    maps, passes = [], 0
    for (sign, subject), reply in zip(given.subject.parts, replies, strict=True):
        found, own = _of_answer(given, subject, reply)
        maps.append(sign * found)
        passes += own
    return Found(torch.stack(maps).sum(0), passes, passes)


def _of_answer(given: Explaining, subject: AnswerSubject, reply: Reply) -> tuple[Tensor, int]:
    model = subject.model
    prepared = model.prepare([subject.case])
    row = prepared.rows[0]
    columns = image_columns(model, row)
    length = row.length - 1 + len(reply.token_ids)
    relevance = torch.zeros(length)
    relevance[[row.length - 1 + token for token in subject.tokens]] = 1.0
    decoder = model.family.layers(model.module)
    layers = [layer for layer in range(model.depth) if hasattr(decoder[layer], "self_attn")]  # hybrids have others too
    for done, layer in enumerate(reversed(layers)):
        given.on_progress(done, len(layers))
        (read,) = attention_gradients(
            model,
            prepared,
            reply,
            layers=[layer],
            positions=range(length),
            tokens=subject.tokens,
            columns=torch.arange(length),
        )
        raised = (read.weights * read.gradients).clamp(min=0).mean(0)
        relevance = relevance + relevance @ raised
    return map_of_tokens(subject, row, relevance[columns]), len(layers)


METHOD = ExplanationMethod(
    "attention x gradient",
    find,
    "How relevance flows through the attention of all layers to the answer; a backward pass per layer.",
)
