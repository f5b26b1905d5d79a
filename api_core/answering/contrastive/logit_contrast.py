"""Combining the scores of two passes over one prompt: what the weakened one also says counts against it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Mix = Callable[[Tensor, Tensor, int], Tensor]
"""From scores of both passes [B, V] and the number of the step, from 0, to the scores that tokens are picked from."""

# The exponent of M3ID's weight at most: there only the contrast counts, and float32 still holds it.
_FORGOTTEN = 30.0


@dataclass(frozen=True)
class LogitContrast:
    """`mix` combines the passes; tokens less likely than `beta` times the plain one's likeliest are out."""

    mix: Mix
    beta: float

    def combine(self, plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        """The joined scores [B, V], -inf for what is out."""
        # A pass that broke down says nothing against any token.
        weakened = torch.where(weakened.isnan().any(1, keepdim=True), plain, weakened)
        cut = plain.amax(1, keepdim=True) + (math.log(self.beta) if self.beta > 0 else -math.inf)
        joined = self.mix(plain, weakened, step)
        return joined.masked_fill((plain < cut) | plain.isneginf(), -math.inf)


def linear_mix(alpha: float) -> Mix:
    """(1 + alpha) of the plain pass less alpha of the weakened one: AvisC's and VCD's."""

    def mix(plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        return (1 + alpha) * plain - alpha * weakened

    return mix


def fading_mix(forgetting: float) -> Mix:
    """M3ID's (arXiv 2403.14003): the further the answer goes on, the more the picture is forgotten, and the more counts
    what it says beyond the pass without it."""

    def mix(plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        weight = math.expm1(min(forgetting * (step + 1), _FORGOTTEN))  # (1 - kept) / kept, with kept = e^-exponent
        seen, unseen = plain.log_softmax(-1), weakened.log_softmax(-1)
        return seen + weight * (seen - unseen)

    return mix
