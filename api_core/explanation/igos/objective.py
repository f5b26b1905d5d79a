"""What iGOS+ and iGOS++ descend: how likely the answer is when a mask deletes and when it inserts.

Integrated gradients: each term is a mean over blends that go from the baseline to the masked picture. Blends are scored
in chunks, and each chunk is back-propagated at once, so that memory grows with the chunk and not with the blends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..subject import Noise, Subject, Towards

Variant = Literal["igos+", "igos++"]
VARIANTS: tuple[Variant, ...] = ("igos+", "igos++")


@dataclass(frozen=True)
class _Term:
    """One integral: which weights are blended (0: the mask that deletes, 1: inserts, None: their product), its sign."""

    mask: int | None
    towards: Towards
    factor: float


# iGOS+ has one mask. iGOS++ has one for deletion and one for insertion, and their product has to do both.
_TERMS: dict[Variant, tuple[_Term, ...]] = {
    "igos+": (_Term(0, "picture", 1.0), _Term(0, "baseline", -1.0)),
    "igos++": (
        _Term(None, "picture", 0.5),
        _Term(None, "baseline", -0.5),
        _Term(0, "picture", 0.5),
        _Term(1, "baseline", -0.5),
    ),
}


def masks_needed(variant: Variant) -> int:
    return 1 if variant == "igos+" else 2


def blends_needed(variant: Variant, shares: int) -> int:
    """How many blends one gradient scores."""
    return len(_TERMS[variant]) * shares


@dataclass(frozen=True)
class Descent:
    """The gradient of the score terms for the masks [K, rows, columns], and what deletion and insertion scored.

    deletion, insertion: means over blends of the first deleting and inserting term.
    """

    gradient: Tensor
    deletion: float
    insertion: float


def descend(
    subject: Subject, masks: Tensor, variant: Variant, shares: Sequence[float], chunk: int, noise: Noise | None
) -> Descent:
    """The gradient of the objective at `masks` [K, rows, columns], over blends that hold `shares` of the mask.

    The gradient passes the share: a blend of share a adds a times its own.
    """
    leaf = masks.detach().requires_grad_()
    lifted = subject.lift(leaf)
    weights = lifted.detach().requires_grad_()
    scores: dict[int, list[float]] = {}
    for part in _chunks(variant, shares, chunk):
        number, share = zip(*part, strict=True)
        term = _TERMS[variant][number[0]]
        base = weights.prod(0) if term.mask is None else weights[term.mask]
        blends = torch.tensor(share, dtype=base.dtype, device=base.device)[:, None] * base
        score = subject.score(blends, term.towards, noise)
        (score.sum() * (term.factor / len(shares))).backward()
        scores.setdefault(number[0], []).extend(score.detach().tolist())
    lifted.backward(weights.grad)
    assert leaf.grad is not None
    return Descent(leaf.grad, *(sum(scores[i]) / len(scores[i]) for i in (0, 1)))


def _chunks(variant: Variant, shares: Sequence[float], chunk: int) -> Iterator[list[tuple[int, float]]]:
    """Every (term, share), in lists of one term and at most `chunk` blends."""
    for number in range(len(_TERMS[variant])):
        for start in range(0, len(shares), chunk):
            yield [(number, share) for share in shares[start : start + chunk]]
