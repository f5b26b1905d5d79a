"""Maps that know nothing of the answer. A method that does not beat them explains nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..method import SIDE, ExplainContext, ExplanationMethod, MethodResult


def _difference(context: ExplainContext) -> MethodResult:
    gap = (context.case.pictures[0] - context.baseline).abs().mean(-1)
    return MethodResult(F.interpolate(gap[None, None], (SIDE, SIDE), mode="area")[0, 0])


def _centre(context: ExplainContext) -> MethodResult:
    place = torch.linspace(-1, 1, SIDE)
    return MethodResult(-torch.hypot(place[:, None], place[None]))


def _random(context: ExplainContext) -> MethodResult:
    return MethodResult(torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(context.seed)))


DIFFERENCE = ExplanationMethod("difference", _difference, "Control: how far the picture is from the baseline.")
CENTRE = ExplanationMethod("centre", _centre, "Control: the middle of any picture.")
RANDOM = ExplanationMethod("random", _random, "Control: chance.")
