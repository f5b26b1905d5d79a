"""RISE (arXiv 1806.07421): the mean of random masks, each weighted by how likely the answer is under it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..method import Explaining, ExplanationMethod, Found

_MASKS, _CELLS, _SIDE, _SHOWN = 200, 7, 32, 0.5


def find(given: Explaining) -> Found:
    """Grids of 7 x 7 coin tosses, enlarged and shifted at random; the answer's mean log-likelihood weighs them."""
    masks = random_masks(_MASKS, given.seed)
    scores: list[float] = []
    with torch.no_grad():
        for part in masks.split(given.chunk):
            given.on_progress(len(scores), _MASKS)
            scores += given.subject.score(given.subject.lift(part), "picture").tolist()
    weights = torch.tensor(scores)
    weights = weights - weights.mean()
    given.on_progress(_MASKS, _MASKS)
    return Found((weights[:, None, None] * (masks - masks.mean(0))).mean(0), _MASKS)


def random_masks(count: int, seed: int) -> Tensor:
    """Smooth random masks [count, 32, 32] in 0..1."""
    draw = torch.Generator().manual_seed(seed)
    cell = -(-_SIDE // _CELLS)
    coarse = (torch.rand(count, 1, _CELLS + 1, _CELLS + 1, generator=draw) < _SHOWN).float()
    large = F.interpolate(coarse, ((_CELLS + 1) * cell,) * 2, mode="bilinear", align_corners=False)[:, 0]
    shift = torch.randint(0, cell, (count, 2), generator=draw).tolist()
    return torch.stack([mask[y : y + _SIDE, x : x + _SIDE] for mask, (y, x) in zip(large, shift, strict=True)])


METHOD = ExplanationMethod(
    "rise", find, "200 random masks, weighted by how likely the answer is under each; no gradients."
)
