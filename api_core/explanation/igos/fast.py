"""iGOS+ and iGOS++ for use: the same objective, reached with a third of the model evaluations.

What differs from the released program, each for a reason. Few shares per step, drawn from equal strata and shared by
deletion and insertion, so that their errors cancel and steps average them. Steps of a fixed length (the gradient is
brought to a root mean square of one), because the likelihood of three words moves ten times as far as that of one. From
a coarse mask to a fine one, because big cells need few steps. It ends when the order of the cells no longer changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...progress import Progress, ignore_progress
from ..subject import Noise, Subject
from .objective import Variant, blends_needed, descend, masks_needed
from .paper import Optimised
from .regulariser import penalty, upsample


@dataclass(frozen=True)
class FastSettings:
    """sides: of the mask from coarse to fine. steps: at each side. shares: blends of each integral and step.

    l1, l3: weights of size and variation; rate: root mean square of a step, which shrinks to `last` of it; settled: the
    rank correlation of two steps' masks at which a side is finished.
    """

    sides: tuple[int, ...] = (8, 16, 32)
    steps: tuple[int, ...] = (4, 3, 2)
    shares: int = 2
    l1: float = 0.5
    l3: float = 5.0
    rate: float = 0.35
    last: float = 0.4
    momentum: float = 0.5
    noise: float = 0.1
    settled: float = 0.98


def optimise(
    subject: Subject,
    variant: Variant,
    settings: FastSettings = FastSettings(),
    *,
    seed: int = 0,
    chunk: int = 8,
    on_progress: Progress = ignore_progress,
) -> Optimised:
    """Optimise the mask from coarse to fine. Call with gradients on (`autograd.differentiable`)."""
    masks = torch.ones(masks_needed(variant), settings.sides[0], settings.sides[0])
    draw = torch.Generator().manual_seed(seed)
    deletion: list[float] = []
    insertion: list[float] = []
    total, done = sum(settings.steps), 0
    for side, steps in zip(settings.sides, settings.steps, strict=True):
        masks = upsample(masks, (side, side)).clamp(0, 1)
        speed = torch.zeros_like(masks)
        for _ in range(steps):
            on_progress(done, total)
            strata = (torch.arange(settings.shares) + torch.rand(settings.shares, generator=draw)) / settings.shares
            noise = Noise(settings.noise, seed + done) if settings.noise else None
            found = descend(subject, masks, variant, strata.tolist(), chunk, noise)
            deletion.append(found.deletion)
            insertion.append(found.insertion)
            gradient = found.gradient + _penalty_gradient(masks, subject.guide, settings)
            size = gradient.square().mean().sqrt().clamp(min=1e-12)
            rate = settings.rate * (1 - (1 - settings.last) * done / max(total - 1, 1))
            speed = settings.momentum * speed - rate * gradient / size
            before = masks.prod(0)
            masks = (masks + speed).clamp(0, 1)
            done += 1
            if _rank_correlation(before, masks.prod(0)) > settings.settled:
                break
    on_progress(total, total)
    evaluations = len(deletion) * blends_needed(variant, settings.shares)
    return Optimised(masks.prod(0), tuple(deletion), tuple(insertion), evaluations)


def _penalty_gradient(masks: Tensor, guide: Tensor, settings: FastSettings) -> Tensor:
    leaf = masks.detach().requires_grad_()
    value = penalty(leaf.prod(0), guide, 0, settings.l1, 0.0, settings.l3, 0.0)
    (gradient,) = torch.autograd.grad(value, leaf)
    return gradient


def _rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's, with ties in the order of their cells; 0 where a mask is all alike."""
    if one.min() == one.max() or other.min() == other.max():
        return 0.0
    ranks = torch.stack([mask.flatten().argsort(stable=True).argsort(stable=True).float() for mask in (one, other)])
    return float(torch.corrcoef(ranks)[0, 1])
