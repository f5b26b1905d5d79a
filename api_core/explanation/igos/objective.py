"""What iGOS+ and iGOS++ descend: how likely the answer is when a mask deletes and when it inserts.

Integrated gradients: each term is a mean over blends that go from the baseline to the masked picture. Blends are scored
in chunks, and each chunk is back-propagated at once, so that memory grows with the chunk and not with the blends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...progress import Progress, ignore_progress
from ..subject import Noise, Subject, Towards

Variant = Literal["igos+", "igos++"]
VARIANTS: tuple[Variant, ...] = ("igos+", "igos++")


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
    subject: Subject,
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
    lifted = subject.lift(leaf)
    weights = lifted.detach().requires_grad_()
    blends = [(number, share) for number in range(len(terms)) for share in shares]
    scores: list[list[float]] = [[] for _ in terms]
    for start in range(0, len(blends), chunk):
        on_progress(start, len(blends))
        part = blends[start : start + chunk]
        factors = torch.tensor([terms[number].factor / len(shares) for number, _ in part], device=weights.device)
        score = subject.score(torch.stack([_blend(weights, terms[n], share) for n, share in part]), "picture", noise)
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


def step_of(on_progress: Progress, step: int, steps: int) -> Progress:
    """The progress of one gradient as that of all steps."""

    def report(done: int, total: int) -> None:
        on_progress(step * total + done, steps * total)

    return report
