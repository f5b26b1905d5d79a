"""iGOS+ and iGOS++ for use: the same objective, reached with a fifth of the model evaluations.

What differs from the released program, each for a reason. Few shares per step, drawn from equal strata and shared by
deletion and insertion, so that their errors cancel and steps average them. Of iGOS++'s two pairs of terms one is taken
at a step, because many rough steps find more than few exact ones. The score's gradient is brought to a root mean square
of one before the regulariser is added, because the likelihood of three words moves ten times as far as that of one.
From a coarse mask to a fine one, because big cells need few steps. What is given is the mean of the masks of all steps:
a mask alone is cut off at 0 over whole regions, and which of their parts were needed first is lost; for the same reason
early steps count more. It is given as a smooth surface, so that the peak of what several cells share lies between them.
On request it ends when the order of that mean's cells no longer changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...progress import Progress, ignore_progress, share_of
from ...settings import setting
from ..objective import Noise, Objective, ignore_preview
from .descent import TERMS, Optimised, Term, Variant, descend, masks_needed, penalty_gradient, upsample


@dataclass(frozen=True)
class FastSettings:
    """Half of the steps have a mask of half the cells; the finished one is given four times as fine.

    The score beside sparsity and smoothness has a gradient with a root mean square of one. The rate shrinks to 0.4 of
    itself, and is less of two masks, as their product goes further. A mean changes little from step to step, so a limit
    of `settled` that is met ends it before the finer cells have had their say: the default never does.
    """

    steps: int = setting(20, 1, 100, "Steps of the mask at most; it ends earlier where it has settled.")
    blends: int = setting(1, 1, 20, "Blends of picture and baseline that each term of a step is averaged over.")
    cells: int = setting(14, 4, 64, "Rows and columns of the finished mask.")
    sparsity: float = setting(0.3, 0.0, 100.0, "How much it costs to call a part important.")
    smoothness: float = setting(0.3, 0.0, 1000.0, "How much it costs that neighbouring parts differ.")
    rate: float = setting(0.35, 0.01, 2.0, "How far the mask goes in a step, as a root mean square over its cells.")
    noise: float = setting(0.2, 0.0, 1.0, "Deviation of the noise on each blend, in the model's normalised pixels.")
    settled: float = setting(1.0, 0.0, 1.0, "Rank correlation of two steps' masks at which it ends; 1 never does.")


_MOMENTUM, _LAST = 0.5, 0.4
_LEAST_SIDE = 4
FINER = 4
"""Rows and columns of the surface for each of the mask's."""


def optimise(
    objective: Objective,
    variant: Variant,
    settings: FastSettings = FastSettings(),
    *,
    seed: int = 0,
    chunk: int = 8,
    on_progress: Progress = ignore_progress,
    on_preview: Callable[[Tensor], None] = ignore_preview,
) -> Optimised:
    """Optimise the mask from coarse to fine. Call with gradients on (`autograd.differentiable`)."""
    size = (settings.cells, settings.cells)
    draw = torch.Generator().manual_seed(seed)
    deletion: list[float] = []
    insertion: list[float] = []
    total, weights = torch.zeros(size), 0.0
    masks = torch.ones(masks_needed(variant), *size)
    for side, steps in _plan(settings):
        masks = upsample(masks, (side, side)).clamp(0, 1)
        speed = torch.zeros_like(masks)
        for _ in range(steps):
            done = len(deletion)
            strata = (torch.arange(settings.blends) + torch.rand(settings.blends, generator=draw)) / settings.blends
            noise = Noise(settings.noise, seed + done) if settings.noise else None
            found = descend(
                objective,
                masks,
                _terms(variant, done),
                strata.tolist(),
                chunk,
                noise,
                share_of(on_progress, done / settings.steps, (done + 1) / settings.steps),
            )
            deletion.append(found.deletion)
            insertion.append(found.insertion)
            rate = settings.rate / len(masks) ** 0.5 * (1 - (1 - _LAST) * done / max(settings.steps - 1, 1))
            speed = _MOMENTUM * speed - rate * (_unit(found.gradient) + _penalty_gradient(masks, objective, settings))
            masks = (masks + speed).clamp(0, 1)
            weight = len(deletion) ** -0.5
            before, total, weights = total, total + weight * upsample(masks.prod(0)[None], size)[0], weights + weight
            on_preview(1 - smooth(total / weights))
            if side == settings.cells and _rank_correlation(before, total) > settings.settled:
                break
    each = 2 * settings.blends
    on_progress(1000, 1000)
    return Optimised(smooth(total / weights), tuple(deletion), tuple(insertion), len(deletion) * each)


def _terms(variant: Variant, step: int) -> tuple[Term, ...]:
    """Deletion and insertion of a step: of iGOS++ by both masks together and by each alone, in turn."""
    terms = TERMS[variant]
    return terms[2:] if len(terms) > 2 and step % 2 else terms[:2]


def _plan(settings: FastSettings) -> list[tuple[int, int]]:
    """(side, steps): coarse, then fine; a mask of few cells, or a single step, has one side only."""
    coarse = settings.steps // 2 if settings.cells >= 2 * _LEAST_SIDE else 0
    plan = [(settings.cells // 2, coarse), (settings.cells, settings.steps - coarse)]
    return [(side, steps) for side, steps in plan if steps]


def _unit(gradient: Tensor) -> Tensor:
    return gradient / gradient.square().mean().sqrt().clamp(min=1e-12)


def _penalty_gradient(masks: Tensor, objective: Objective, settings: FastSettings) -> Tensor:
    """Of the regulariser, for each cell as if it were alone: as large for a fine mask as for a coarse one."""
    gradient = penalty_gradient(masks, objective.edge_image, 0, settings.sparsity, 0.0, settings.smoothness, 0.0)
    return gradient * masks[0].numel()


def _rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's, with ties in the order of their cells; 0 where a mask is all alike."""
    if one.min() == one.max() or other.min() == other.max():
        return 0.0
    ranks = torch.stack([mask.flatten().argsort(stable=True).argsort(stable=True).float() for mask in (one, other)])
    return float(torch.corrcoef(ranks)[0, 1])


def smooth(mask: Tensor) -> Tensor:
    """The cubic B-spline of a mask [rows, columns] on [4 rows - 3, 4 columns - 3], corner on corner.

    Beyond the edge the outermost cells go on.
    """
    from scipy import ndimage  # only where a mask is made: it takes its time to load

    finer = [(FINER * (side - 1) + 1) / side for side in mask.shape]
    drawn = ndimage.zoom(mask.double().numpy(), finer, order=3, mode="nearest", prefilter=False)
    return torch.from_numpy(drawn).to(mask)
