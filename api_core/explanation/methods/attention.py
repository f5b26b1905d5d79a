"""The model's own attention while it answers, as the LVLM heatmap reads it: not what it needed, but where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

import torch
from torch import Tensor

from ...attribution.lvlm.heatmap import PART, lvlm_heatmap
from ...errors import InvalidInput
from ...models.conversation.case import Reply
from ...results import Label
from ..answer_objective import AnswerObjective
from ..method import ExplainContext, ExplanationMethod, MethodResult
from .token_maps import map_of_views


def compute(context: ExplainContext) -> MethodResult:
    """The mean over the explained tokens' words, brought from the model's own grids to one over the picture.

    Against another answer it is what is left when the attention for that one's words is taken away.
    """
    maps = [sign * _attention(context, objective, reply) for sign, objective, reply in context.answers]
    return MethodResult(torch.stack(maps).sum(0), len(maps))


def _attention(context: ExplainContext, objective: AnswerObjective, reply: Reply) -> Tensor:
    read = lvlm_heatmap(
        context.model,
        [context.case.pictures[0]],
        context.case.question,
        answers=reply.text,
        more_pictures=[[picture] for picture in context.case.pictures[1:]],
        system_prompt=context.case.system_prompt,
        on_progress=context.on_progress,
    )
    picture = read.heatmap.pictures[0]
    shares = _shares(picture.labels, reply, objective.tokens)
    views = [replace(view, values=torch.einsum("m,mhw->hw", shares, view.values)[None]) for view in picture.parts[PART]]
    return map_of_views(views, picture.size)


def _shares(labels: Sequence[Label], reply: Reply, tokens: Sequence[int]) -> Tensor:
    """How much each label's map counts: those of the reply's words that hold one of `tokens`, by their length.

    A word is found by its text and how often that came before. By its tokens it cannot be: the heatmap reads the answer
    as text, without the thinking before it, and may cut it otherwise than the model wrote it.
    """
    chosen = [not set(range(word.first, word.last)).isdisjoint(tokens) for word in reply.words]
    wanted = set(compress(_numbered([word.text for word in reply.words]), chosen))
    spans = [(label.text, label.span) for label in labels if label.role == "answer word" and label.span]
    found = zip(_numbered([text for text, _ in spans]), (last - first for _, (first, last) in spans), strict=True)
    lengths = [length if key in wanted else 0 for key, length in found]
    if not any(lengths):
        raise InvalidInput(
            f"The explained words are not found again when the answer {reply.text!r} is read as text, so the model's "
            "attention cannot be told for them. Choose another method."
        )
    shares = torch.tensor([0] * (len(labels) - len(lengths)) + lengths, dtype=torch.float32)  # answer words come last
    return shares / shares.sum()


def _numbered(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Each text with how many of the same came before it."""
    return [(text, texts[:place].count(text)) for place, text in enumerate(texts)]


METHOD = ExplanationMethod("attention", compute, "Where the model looked while it wrote these words; no gradients.")
