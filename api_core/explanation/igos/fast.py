"""iGOS+ and iGOS++ for use: the same objective, reached with a third of the model evaluations.

What differs from the released program, each for a reason. Few shares per step, drawn from equal strata and shared by
deletion and insertion, so that their errors cancel and steps average them. Steps of a fixed length (the gradient is
brought to a root mean square of one), because the likelihood of three words moves ten times as far as that of one. From
a coarse mask to a fine one, because big cells need few steps. It ends when the order of the cells no longer changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...progress import Progress, ignore_progress
from ..subject import Noise, Subject
from .objective import Variant, blends_needed, descend, masks_needed
from .paper import Optimised, ignore_preview
from .regulariser import penalty, upsample


@dataclass(frozen=True)
class FastSettings:
    """steps: in all, shared by three sides of the mask, of which `cells` is the last. blends: of each term and step.

    sparsity, smoothness: weights of size and variation; rate: root mean square of a step, which shrinks to 0.4 of it;
    noise: deviation in normalised pixels; settled: rank correlation of two steps' masks at which a side is finished.
    """

    steps: int = 9
    blends: int = 2
    cells: int = 32
    sparsity: float = 0.5
    smoothness: float = 5.0
    rate: float = 0.35
    noise: float = 0.1
    settled: float = 0.98


_MOMENTUM, _LAST = 0.5, 0.4


def optimise(
    subject: Subject,
    variant: Variant,
    settings: FastSettings = FastSettings(),
    *,
    seed: int = 0,
    chunk: int = 8,
    on_progress: Progress = ignore_progress,
    on_preview: Callable[[Tensor], None] = ignore_preview,
) -> Optimised:
    """Optimise the mask from coarse to fine. Call with gradients on (`autograd.differentiable`)."""
    plan = _plan(settings)
    masks = torch.ones(masks_needed(variant), plan[0][0], plan[0][0])
    draw = torch.Generator().manual_seed(seed)
    deletion: list[float] = []
    insertion: list[float] = []
    done = 0
    for side, steps in plan:
        masks = upsample(masks, (side, side)).clamp(0, 1)
        speed = torch.zeros_like(masks)
        for _ in range(steps):
            on_progress(done, settings.steps)
            strata = (torch.arange(settings.blends) + torch.rand(settings.blends, generator=draw)) / settings.blends
            noise = Noise(settings.noise, seed + done) if settings.noise else None
            found = descend(subject, masks, variant, strata.tolist(), chunk, noise)
            deletion.append(found.deletion)
            insertion.append(found.insertion)
            gradient = found.gradient + _penalty_gradient(masks, subject.guide, settings)
            size = gradient.square().mean().sqrt().clamp(min=1e-12)
            rate = settings.rate * (1 - (1 - _LAST) * done / max(settings.steps - 1, 1))
            speed = _MOMENTUM * speed - rate * gradient / size
            before = masks.prod(0)
            masks = (masks + speed).clamp(0, 1)
            on_preview(1 - masks.prod(0))
            done += 1
            if _rank_correlation(before, masks.prod(0)) > settings.settled:
                break
    on_progress(settings.steps, settings.steps)
    evaluations = len(deletion) * blends_needed(variant, settings.blends)
    return Optimised(masks.prod(0), tuple(deletion), tuple(insertion), evaluations)


def _plan(settings: FastSettings) -> list[tuple[int, int]]:
    """(side, steps) from coarse to fine."""
    third, rest = divmod(settings.steps, 3)
    counts = (third + (rest > 0), third + (rest > 1), third)
    return [(max(2, settings.cells // part), count) for part, count in zip((4, 2, 1), counts, strict=True) if count]


def _penalty_gradient(masks: Tensor, guide: Tensor, settings: FastSettings) -> Tensor:
    leaf = masks.detach().requires_grad_()
    value = penalty(leaf.prod(0), guide, 0, settings.sparsity, 0.0, settings.smoothness, 0.0)
    (gradient,) = torch.autograd.grad(value, leaf)
    return gradient


def _rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's, with ties in the order of their cells; 0 where a mask is all alike."""
    if one.min() == one.max() or other.min() == other.max():
        return 0.0
    ranks = torch.stack([mask.flatten().argsort(stable=True).argsort(stable=True).float() for mask in (one, other)])
    return float(torch.corrcoef(ranks)[0, 1])
