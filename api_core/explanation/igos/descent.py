"""What iGOS+ and iGOS++ descend: how likely the answer is when a mask deletes and when it inserts.

Integrated gradients: each term is a mean over blends that go from the baseline to the masked picture. Blends are scored
in chunks, and each chunk is back-propagated at once, so that memory grows with the chunk and not with the blends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ...progress import Progress, ignore_progress
from ..objective import Noise, Objective, Towards

Variant = Literal["igos+", "igos++"]
_EDGE = 0.01  # squared difference of neighbouring pixels at which the mask's variation costs 1 / e


@dataclass(frozen=True)
class Term:
    """One integral: which weights are blended (0: the mask that deletes, 1: inserts, None: their product), its sign."""

    mask: int | None
    towards: Towards
    factor: float


TERMS: dict[Variant, tuple[Term, ...]] = {
    "igos+": (Term(0, "picture", 1.0), Term(0, "baseline", -1.0)),
    "igos++": (
        Term(None, "picture", 0.5),
        Term(None, "baseline", -0.5),
        Term(0, "picture", 0.5),
        Term(1, "baseline", -0.5),
    ),
}
"""Deletion and insertion in turn. iGOS+ has one mask. iGOS++ has one for each, and their product has to do both."""


@dataclass(frozen=True)
class Optimised:
    """A mask [rows, columns] (0 = the answer needs it, 1 = it does not), and how it went.

    deletion, insertion: mean score of the blends at each step. evaluations: blends the model was shown, with gradients.
    """

    mask: Tensor
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    evaluations: int

    @property
    def importance(self) -> Tensor:
        return 1 - self.mask


def masks_needed(variant: Variant) -> int:
    return 1 if variant == "igos+" else 2


@dataclass(frozen=True)
class Descent:
    """The gradient of the score terms for the masks [K, rows, columns], and what deletion and insertion scored.

    deletion, insertion: means over blends of the first deleting and inserting term.
    """

    gradient: Tensor
    deletion: float
    insertion: float


def descend(
    objective: Objective,
    masks: Tensor,
    terms: Sequence[Term],
    shares: Sequence[float],
    chunk: int,
    noise: Noise | None,
    on_progress: Progress = ignore_progress,
) -> Descent:
    """The gradient of `terms` at `masks` [K, rows, columns], over blends that hold `shares` of the mask.

    The gradient passes the share: a blend of share a adds a times its own. A chunk may hold blends of several terms:
    a blend of weight w towards the baseline is one of 1 - w towards the picture. on_progress: before every chunk.
    """
    leaf = masks.detach().requires_grad_()
    lifted = objective.pixel_weights(leaf)
    weights = lifted.detach().requires_grad_()
    blends = [(number, share) for number in range(len(terms)) for share in shares]
    scores: list[list[float]] = [[] for _ in terms]
    for start in range(0, len(blends), chunk):
        on_progress(start, len(blends))
        part = blends[start : start + chunk]
        factors = torch.tensor([terms[number].factor / len(shares) for number, _ in part], device=weights.device)
        score = objective.score(torch.stack([_blend(weights, terms[n], share) for n, share in part]), "picture", noise)
        (score * factors.to(score.device)).sum().backward()
        for (number, _), value in zip(part, score.detach().tolist(), strict=True):
            scores[number].append(value)
    on_progress(len(blends), len(blends))
    lifted.backward(weights.grad)
    assert leaf.grad is not None
    return Descent(leaf.grad, *(sum(found) / len(found) for found in scores[:2]))


def _blend(weights: Tensor, term: Term, share: float) -> Tensor:
    """The picture's weights [P] in a blend that holds `share` of a term's mask."""
    shown = share * (weights.prod(0) if term.mask is None else weights[term.mask])
    return shown if term.towards == "picture" else 1 - shown


def penalty_gradient(
    masks: Tensor, picture: Tensor, step: int, l1: float, l2: float, l3: float, decay: float
) -> Tensor:
    """The gradient of the regulariser of the masks' product, for each of the masks [K, rows, columns]."""
    leaf = masks.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(penalty(leaf.prod(0), picture, step, l1, l2, l3, decay), leaf)
    return gradient


def penalty(mask: Tensor, picture: Tensor, step: int, l1: float, l2: float, l3: float, decay: float) -> Tensor:
    """The regulariser of a mask [rows, columns] (1 keeps) at `step` (from 0), as a scalar.

    picture [C, h, w]: the one whose edges total variation spares. L2 fades by exp(-decay * step): the problem
    starts convex and ends as it is.
    """
    removed = 1 - mask
    small = l1 * removed.abs().mean() + l2 * math.exp(-decay * step) * (removed**2).sum()
    return small + l3 * bilateral_variation(mask, picture)


def bilateral_variation(mask: Tensor, picture: Tensor) -> Tensor:
    """Half the sum of the mean squared differences of the mask, and of the mask at the picture's size, edges spared.

    Vertical differences are weighed by the edge of the mean over channels, horizontal ones by the mean over channels of
    the edges: the released program does so, and its numbers are kept.
    """
    lifted = upsample(mask[None], (picture.shape[-2], picture.shape[-1]))[0]
    down, right = picture.diff(dim=1), picture.diff(dim=2)
    vertical = torch.exp(-(down.mean(0) ** 2) / _EDGE)
    horizontal = torch.exp(-(right**2) / _EDGE).mean(0)
    coarse = (mask.diff(dim=0) ** 2).mean() + (mask.diff(dim=1) ** 2).mean()
    fine = (vertical * lifted.diff(dim=0) ** 2).mean() + (horizontal * lifted.diff(dim=1) ** 2).mean()
    return 0.5 * (coarse + fine)


def upsample(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corner on corner: masks [K, rows, columns] to [K, h, w]."""
    return F.interpolate(masks[:, None], size, mode="bilinear", align_corners=True)[:, 0]
