"""Grad-CAM (arXiv 1610.02391) at the picture's tokens, as the decoder's first layer gets them."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ...autograd import differentiable, without_weight_gradients
from ...models.hooks import capturing
from ...models.lvlm.attention.recorder import placed_image_positions
from ...models.lvlm.model import LvlmModel
from ..answer_scores import AnswerScores
from ..method import ExplainContext, ExplanationMethod, MethodResult
from .token_maps import map_of_tokens, token_row


def compute(context: ExplainContext) -> MethodResult:
    """relu(sum over channels of activation times the gradient's mean over tokens); one pass with a gradient.

    What leaves the vision tower and its projector enters the decoder's first layer, so the place is the same in every
    family. (Qwen3-VL adds more of the picture after its first layers, which this reading leaves out.) Against another
    answer it is what is left when the map for that one is taken away.
    """
    maps: list[Tensor] = []
    for sign, objective, _ in context.answers:
        context.on_progress(len(maps), len(context.answers))
        maps.append(sign * _of_answer(objective))
    return MethodResult(torch.stack(maps).sum(0), len(maps), len(maps))


def _of_answer(objective: AnswerScores) -> Tensor:
    model, row = cast(LvlmModel, objective.model), token_row(objective)
    columns = placed_image_positions(model, row).to(model.device)
    entered: list[Tensor] = []

    def keep(args: Any, kwargs: Any) -> None:
        entered.append(args[0] if args else kwargs["hidden_states"])

    with differentiable(model.module), without_weight_gradients(model.module), capturing() as hooks:
        hooks.before(model.family.layers(model.module)[0], keep)
        weights = objective.pixel_weights(torch.ones(1, 2, 2)).requires_grad_()
        (gradient,) = torch.autograd.grad(objective.score(weights, "picture").sum(), entered[0])
    activation, slope = entered[0].detach()[0, columns].float(), gradient[0, columns].float()
    return map_of_tokens(objective, row, (activation * slope.mean(0)).sum(-1).clamp(min=0))


METHOD = ExplanationMethod(
    "grad-cam",
    compute,
    "Features of the picture that speak for the answer, by one backward pass; coarse.",
    by_gradient=True,
)
