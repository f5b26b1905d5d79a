"""What a judge's words are worth, and how marks become scores: MM-Vet and LLaVA-Bench in the Wild.

MM-Vet (Yu et al., arXiv 2308.02490): a mark 0..1 for each answer; their mean, in all and by capability.
LLaVA-Bench (Liu et al., arXiv 2304.08485): two marks 1..10, of a reference's answer and of the model's; the score is
the ratio of their means. A reply without two readable marks counts as (-1, -1) there, in both means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Pair = tuple[float, float]
"""The marks of the reference and of the model."""

FAILED: Pair = (-1.0, -1.0)
"""What the official program makes of a reply that it cannot read, and averages in."""


MOST_TRIES = 6
"""How often MM-Vet's judge is asked about one answer. The last reply is not read any more: that answer gets 0."""


def mark_of(replies: Sequence[str]) -> float:
    """What MM-Vet makes of all that its judge said about one answer: the last mark, 0 where there is none."""
    mark = read_mark(replies[-1]) if len(replies) < MOST_TRIES else None
    return 0.0 if mark is None else mark


def read_mark(reply: str) -> float | None:
    """The first word of a reply as a mark 0..1; None where it is none. (The official program takes "nan" for one.)"""
    try:
        mark = float(reply.split(" ")[0].strip())
    except ValueError:
        return None
    return mark if 0 <= mark <= 1 else None


def read_pair(reply: str) -> Pair:
    """The two numbers that are a reply's first line, between one comma or blank; FAILED for anything else there.

    ("8, 9" is anything else: a comma and a blank.)
    """
    parts = reply.split("\n")[0].replace(",", " ").split(" ")
    if len(parts) != 2:
        return FAILED
    try:
        return float(parts[0]), float(parts[1])
    except ValueError:
        return FAILED


def percent(marks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """100 times the mean mark of each run of the judge: [runs]. marks: 0..1 [cases, runs]. weights: how often each case
    counts. Added up one after the other, as the official program does: many means are exactly between two printed ones.
    """
    return np.cumsum(marks * weights[:, None], axis=0)[-1] / weights.sum() * 100


@dataclass(frozen=True)
class Relative:
    """A line of LLaVA-Bench's table. percent: the model's mean of the reference's, NaN where that is 0.

    reference, model: their mean marks times 10.
    """

    percent: float
    reference: float
    model: float


def relative(pairs: np.ndarray, weights: np.ndarray) -> Relative:
    """The score of some answers, rounded as the official summary rounds: means to three places, then to one.

    pairs: the marks [cases, 2]. weights: how often each counts.
    """
    if not weights.sum():
        return Relative(math.nan, math.nan, math.nan)
    reference, model = (
        round(mean, 3) for mean in (np.cumsum(pairs * weights[:, None], axis=0)[-1] / weights.sum()).tolist()
    )
    percent = round(model / reference * 100, 1) if reference else math.nan
    return Relative(percent, round(reference * 10, 1), round(model * 10, 1))
