"""Relative attention: what the question adds to where the model looks anyway.

After "MLLMs Know Where to Look" (Zhang et al., ICLR 2025, arXiv 2502.17422): the question's attention divided by that
under a question which asks for nothing in particular.
"""

from dataclasses import replace

import torch
from torch import Tensor

from ...models.conversation.case import Prepared
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.lvlm.attention.rows import prompt_rows
from ...models.vision_language import VisionLanguageModel
from .image_mass import mean_probability
from .method import LvlmRequest, TokenRelevance, averaged_over_layers, countable_tokens, mean_over_layers

NEUTRAL_QUESTION = "Write a general description of the picture."
# Of the mean: below it a token that nobody looks at would come out on top by dividing by next to nothing.
_LEAST = 0.01


def compute(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[TokenRelevance]:
    """Each row's attention over that of the row which begins the answer to the neutral question; 1 is no difference.

    Both are means over heads and layers first. No second answer is generated: one pass over the neutral prompts.
    """
    found = averaged_over_layers(model, prepared, request, mean_probability)
    plain = model.prepare([replace(case, question=NEUTRAL_QUESTION, opening="") for case in prepared.cases])

    def reduce(rows: LayerRows) -> tuple[Tensor, ...]:
        return (mean_probability(rows, request.reading),)

    anyway = prompt_rows(model, plain, layers=request.layers, reduce=reduce)
    relative = []
    for one, kept, row in zip(found, anyway, prepared.rows, strict=True):
        count = one.answer.shape[1]
        usual = mean_over_layers(kept, count)[0]
        tokens = countable_tokens(row, request.reading)
        divisor = torch.maximum(usual, _LEAST * usual[tokens].mean())
        relative.append(replace(one, question=_over(one.question, divisor), answer=_over(one.answer, divisor)))
    return relative


def _over(values: Tensor, divisor: Tensor) -> Tensor:
    return torch.where(divisor > 0, values / divisor, 0.0)
