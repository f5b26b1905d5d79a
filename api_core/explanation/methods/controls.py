"""Maps that know nothing of the answer. A method that does not beat them explains nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..method import Explaining, ExplanationMethod, Found

_SIDE = 32


def _difference(given: Explaining) -> Found:
    gap = (given.case.pictures[0] - given.baseline).abs().mean(-1)
    return Found(F.interpolate(gap[None, None], (_SIDE, _SIDE), mode="area")[0, 0])


def _centre(given: Explaining) -> Found:
    place = torch.linspace(-1, 1, _SIDE)
    return Found(-torch.hypot(place[:, None], place[None]))


def _random(given: Explaining) -> Found:
    return Found(torch.rand(_SIDE, _SIDE, generator=torch.Generator().manual_seed(given.seed)))


DIFFERENCE = ExplanationMethod("difference", _difference, "Control: how far the picture is from the baseline.")
CENTRE = ExplanationMethod("centre", _centre, "Control: the middle of any picture.")
RANDOM = ExplanationMethod("random", _random, "Control: chance.")
