"""A objective without a model: the fixtures' formula, or any function of pixels, on a picture and a baseline."""

from collections.abc import Callable

import torch
from pack.api_core.explanation.igos.descent import upsample
from pack.api_core.explanation.objective import Noise, Towards
from torch import Tensor


class Toy:
    """`probabilities` maps pixels [N, 3, h, w] to each token's probability [N, T]."""

    def __init__(self, picture: Tensor, baseline: Tensor, probabilities: Callable[[Tensor], Tensor]) -> None:
        self.picture, self.baseline, self.probabilities = picture, baseline, probabilities
        self.largest_batch = 0

    @property
    def edge_image(self) -> Tensor:
        return self.picture

    def pixel_weights(self, masks: Tensor) -> Tensor:
        return upsample(masks, (self.picture.shape[1], self.picture.shape[2])).flatten(1)

    def score(self, weights: Tensor, towards: Towards, noise: Noise | None = None) -> Tensor:
        self.largest_batch = max(self.largest_batch, len(weights))
        blend = self._blend(weights, towards)
        return torch.log(self.probabilities(blend if noise is None else blend + noise.like(blend))).sum(1)

    def probability(self, weights: Tensor, towards: Towards) -> Tensor:
        return self.probabilities(self._blend(weights, towards)).mean(1)

    def _blend(self, weights: Tensor, towards: Towards) -> Tensor:
        shown, other = (self.picture, self.baseline) if towards == "picture" else (self.baseline, self.picture)
        weight = weights.reshape(len(weights), 1, *self.picture.shape[1:])
        return weight * shown + (1 - weight) * other
