"""The model's own attention while it answers, as the LVLM heatmap reads it: not what it needed, but where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...attribution.lvlm.heatmap import PART, lvlm_heatmap
from ...errors import InvalidInput
from ...models.conversation.case import Reply
from ...results import Label
from ..answer_scores import AnswerScores
from ..method import ExplainContext, ExplanationMethod, MethodResult
from .token_maps import map_of_views


def compute(context: ExplainContext) -> MethodResult:
    """The mean over the explained tokens' words, brought from the model's own grids to one over the picture.

    Against another answer it is what is left when the attention for that one's words is taken away.
    """
    maps = [sign * _attention(context, objective, reply) for sign, objective, reply in context.answers]
    return MethodResult(torch.stack(maps).sum(0), len(maps))


def _attention(context: ExplainContext, objective: AnswerScores, reply: Reply) -> Tensor:
    read = lvlm_heatmap(
        context.model,
        [context.case.pictures[0]],
        context.case.question,
        answers=reply,
        more_pictures=[[picture] for picture in context.case.pictures[1:]],
        system_prompt=context.case.system_prompt,
        on_progress=context.on_progress,
    )
    picture = read.heatmap.pictures[0]
    shares = _shares(picture.labels, objective.tokens)
    views = [replace(view, values=torch.einsum("m,mhw->hw", shares, view.values)[None]) for view in picture.parts[PART]]
    return map_of_views(views, picture.size)


def _shares(labels: Sequence[Label], tokens: Sequence[int]) -> Tensor:
    """How much each label's map counts: those of the answer's words that hold one of `tokens`, by their length."""
    spans = [range(*label.span) if label.role == "answer word" and label.span else range(0) for label in labels]
    lengths = torch.tensor([0 if set(span).isdisjoint(tokens) else len(span) for span in spans], dtype=torch.float32)
    if not bool(lengths.any()):
        raise InvalidInput(
            "None of the explained tokens belongs to a word, so the model's attention cannot be told for them. Choose "
            "another method."
        )
    return lengths / lengths.sum()


METHOD = ExplanationMethod("attention", compute, "Where the model looked while it wrote these words; no gradients.")
