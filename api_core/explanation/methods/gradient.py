"""Gradient times input: how the answer's likelihood changes as a cell of the picture gives way to the baseline."""

from __future__ import annotations

import torch

from ...autograd import differentiable, without_weight_gradients
from ..method import Explaining, ExplanationMethod, Found

_SIDE = 32


def find(given: Explaining) -> Found:
    """The derivative of the log-likelihood by a mask of ones: (picture - baseline) times the gradient, cell by cell."""
    given.on_progress(0, 1)
    with differentiable(given.model.module), without_weight_gradients(given.model.module):
        mask = torch.ones(1, _SIDE, _SIDE, requires_grad=True)
        score = given.subject.score(given.subject.lift(mask), "picture").sum()
        (slope,) = torch.autograd.grad(score, mask)
    given.on_progress(1, 1)
    return Found(slope[0], 1, 1)


METHOD = ExplanationMethod("gradient x input", find, "One backward pass: what a small change of each place would do.")
