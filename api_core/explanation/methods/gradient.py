"""Gradient times input: how the answer's likelihood changes as a cell of the picture gives way to the baseline."""

from __future__ import annotations

from typing import cast

import torch

from ...autograd import differentiable, without_weight_gradients
from ...models.lvlm.model import LvlmModel
from ..method import SIDE, ExplainContext, ExplanationMethod, MethodResult


def compute(context: ExplainContext) -> MethodResult:
    """The derivative of the log-likelihood by a mask of ones: (picture - baseline) times the gradient, cell by cell."""
    context.on_progress(0, 1)
    module = cast(LvlmModel, context.model).module
    with differentiable(module), without_weight_gradients(module):
        mask = torch.ones(1, SIDE, SIDE, requires_grad=True)
        score = context.objective.score(context.objective.pixel_weights(mask), "picture").sum()
        (slope,) = torch.autograd.grad(score, mask)
    context.on_progress(1, 1)
    return MethodResult(slope[0], 1, 1)


METHOD = ExplanationMethod(
    "gradient x input", compute, "One backward pass: what a small change of each place would do.", by_gradient=True
)
