"""Picking a token from two readings of one prompt: what the poorer reading also says counts against it.

The rows of the plain reading come first, then as many of the poorer one; both get the same token.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.lvlm.sampling import Pick

Mix = Callable[[Tensor, Tensor, int], Tensor]
"""From scores of both readings [B, V] and the number of the step, from 0, to the scores that tokens are picked from."""


@dataclass
class ContrastedPick:
    """`mix` joins the readings, tokens less likely than `beta` times the likeliest are out, `inner` picks."""

    mix: Mix
    beta: float
    inner: Pick
    step: int = 0

    def __call__(self, scores: Tensor) -> Tensor:
        plain, poorer = scores.chunk(2)
        # A reading that broke down says nothing against any token.
        poorer = torch.where(poorer.isnan().any(1, keepdim=True), plain, poorer)
        joined = self.mix(plain, poorer, self.step)
        self.step += 1
        cut = plain.amax(1, keepdim=True) + (math.log(self.beta) if self.beta > 0 else -math.inf)
        joined = joined.masked_fill((plain < cut) | plain.isneginf(), -math.inf)
        return self.inner(joined).repeat(2)


def linear_mix(alpha: float) -> Mix:
    """(1 + alpha) of the plain reading less alpha of the poorer one: AvisC's and VCD's."""

    def mix(plain: Tensor, poorer: Tensor, step: int) -> Tensor:
        return (1 + alpha) * plain - alpha * poorer

    return mix


def fading_mix(forgetting: float) -> Mix:
    """M3ID's (arXiv 2403.14003): the further the answer goes on, the more the picture is forgotten, and the more counts
    what it says beyond the reading without it."""

    def mix(plain: Tensor, poorer: Tensor, step: int) -> Tensor:
        kept = math.exp(-forgetting * (step + 1))
        seen, unseen = plain.log_softmax(-1), poorer.log_softmax(-1)
        return seen + (1 - kept) / kept * (seen - unseen)

    return mix
