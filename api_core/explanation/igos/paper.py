"""iGOS+ and iGOS++ as released with arXiv 2503.13891, step by step: five noisy steps of Nesterov's from all ones.

Same numbers, other order of work: the blends of a term run as a batch, and what a scorer keeps is up to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...progress import Progress, ignore_progress, share_of
from ...settings import setting
from ..objective import Noise, Objective, ignore_preview
from .descent import TERMS, Optimised, Variant, descend, masks_needed, penalty_gradient


@dataclass(frozen=True)
class PaperSettings:
    """The command of the released README; its own defaults differ and are not used by it."""

    side: int = setting(32, 4, 64, "Rows and columns of the mask.")
    l1: float = setting(1.0, 0.0, 1000.0, "Weight of the mask's size.")
    l2: float = setting(0.1, 0.0, 1000.0, "Weight of the mask's squared size, which decays.")
    l3: float = setting(10.0, 0.0, 1000.0, "Weight of the mask's variation.")
    decay: float = setting(1.0, 0.0, 10.0, "How fast l2 decays, per step, as an exponent.")
    shares: int = setting(10, 1, 50, "Blends of each integral and step.")
    steps: int = setting(5, 1, 100, "Steps.")
    momentum: float = setting(5.0, 0.0, 100.0, "Of Nesterov's steps t: the factor is t / (t + momentum).")
    rate: float = setting(10.0, 0.0, 1000.0, "How far a step goes, times the gradient.")
    noise: float = setting(0.2, 0.0, 1.0, "Deviation of the noise on each blend, in the model's normalised pixels.")


def optimise(
    objective: Objective,
    variant: Variant,
    settings: PaperSettings = PaperSettings(),
    *,
    seed: int = 0,
    chunk: int = 10,
    on_progress: Progress = ignore_progress,
    on_preview: Callable[[Tensor], None] = ignore_preview,
) -> Optimised:
    """Run the released program's optimisation. Call with gradients on (`autograd.differentiable`)."""
    masks = torch.ones(masks_needed(variant), settings.side, settings.side)
    previous = torch.zeros_like(masks)
    noise = Noise(settings.noise, seed) if settings.noise else None
    shares = [(j + 1) / settings.shares for j in range(settings.shares)]
    weights = (settings.l1, settings.l2, settings.l3, settings.decay)
    deletion, insertion = [], []
    for step in range(settings.steps):
        report = share_of(on_progress, step / settings.steps, (step + 1) / settings.steps)
        found = descend(objective, masks, TERMS[variant], shares, chunk, noise, report)
        gradient = found.gradient + penalty_gradient(masks, objective.edge_image, step, *weights)
        ahead = masks - settings.rate * gradient
        masks = (ahead + step / (step + settings.momentum) * (ahead - previous)).clamp(0, 1)
        previous = ahead
        deletion.append(found.deletion)
        insertion.append(found.insertion)
        on_preview(1 - masks.prod(0))
    evaluations = settings.steps * settings.shares * len(TERMS[variant])
    on_progress(1000, 1000)
    return Optimised(masks.prod(0), tuple(deletion), tuple(insertion), evaluations)
