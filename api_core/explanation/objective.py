"""What an explanation is about: a picture, a baseline that shows nothing, and the likelihood of an answer in between.

Everything that optimises or judges a map works on this interface alone, so a toy function can stand where a
vision-language model does.
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

Towards = Literal["picture", "baseline"]


class Objective(Protocol):
    """An answer's log-likelihood as a function of how much of the picture is there.

    A blend of weights w is w * picture + (1 - w) * baseline towards "picture", and the two swapped towards "baseline".
    Weights lie on the model's own input pixels, every tile and view of them in one flat row of P.
    """

    @property
    def edge_image(self) -> Tensor:
        """The picture as the model gets it, its first view, normalised: float32 [C, h, w]. Its edges may hold masks."""

    def pixel_weights(self, masks: Tensor) -> Tensor:
        """Masks [K, rows, columns] over the picture as weights [K, P] of the model's pixels; gradients pass."""

    def score(self, weights: Tensor, towards: Towards, noise: Noise | None = None) -> Tensor:
        """The sum of log-likelihoods of the answer's chosen tokens for each blend: weights [N, P] to float32 [N]."""

    def probability(self, weights: Tensor, towards: Towards) -> Tensor:
        """The mean probability of the answer's chosen tokens for each blend: weights [N, P] to float32 [N]."""


class Noise:
    """Gaussian noise on a blend's normalised pixels, drawn from its own seed."""

    def __init__(self, deviation: float, seed: int) -> None:
        self.deviation = deviation
        self.generator = torch.Generator().manual_seed(seed)

    def like(self, pixels: Tensor) -> Tensor:
        drawn = torch.randn(pixels.shape, generator=self.generator, dtype=torch.float32)
        return (self.deviation * drawn).to(pixels.device, pixels.dtype)


def ignore_preview(importance: Tensor) -> None:
    """The default: nobody looks at a mask while it is made."""
