"""RISE (arXiv 1806.07421): the mean of random masks, each weighted by how likely the answer is under it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..method import SIDE, ExplainContext, ExplanationMethod, MethodResult

_MASKS, _CELLS, _SHOWN = 200, 7, 0.5


def compute(context: ExplainContext) -> MethodResult:
    """Grids of 7 x 7 coin tosses, enlarged and shifted at random; the answer's mean log-likelihood weighs them."""
    masks = random_masks(_MASKS, context.seed)
    scores: list[float] = []
    with torch.no_grad():
        for part in masks.split(context.chunk):
            context.on_progress(len(scores), _MASKS)
            scores += context.objective.score(context.objective.pixel_weights(part), "picture").tolist()
    weights = torch.tensor(scores)
    weights = weights - weights.mean()
    context.on_progress(_MASKS, _MASKS)
    return MethodResult((weights[:, None, None] * (masks - masks.mean(0))).mean(0), _MASKS)


def random_masks(count: int, seed: int) -> Tensor:
    """Smooth random masks [count, 32, 32] in 0..1."""
    draw = torch.Generator().manual_seed(seed)
    cell = -(-SIDE // _CELLS)
    coarse = (torch.rand(count, 1, _CELLS + 1, _CELLS + 1, generator=draw) < _SHOWN).float()
    large = F.interpolate(coarse, ((_CELLS + 1) * cell,) * 2, mode="bilinear", align_corners=False)[:, 0]
    shift = torch.randint(0, cell, (count, 2), generator=draw).tolist()
    return torch.stack([mask[y : y + SIDE, x : x + SIDE] for mask, (y, x) in zip(large, shift, strict=True)])


METHOD = ExplanationMethod(
    "rise", compute, "200 random masks, weighted by how likely the answer is under each; no gradients."
)
