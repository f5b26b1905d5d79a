"""Questions that ten people answered: their answers, and the mean accuracy as the programs of each rule print it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InvalidInput, shortened
from .rules.vqa_text import PEOPLE
from .score_table import Figure, ratio


def ten_answers(entry: dict[str, Any], of: str) -> list[str]:
    """The answers of ten people, texts or objects with an `answer`. InvalidInput for any other number of them."""
    given = entry.get("answers")
    listed = given if isinstance(given, list) else []
    plain = (one.get("answer") if isinstance(one, dict) else one for one in listed)
    said = [one for one in plain if isinstance(one, str)]
    if len(said) != PEOPLE:
        raise InvalidInput(f"{of} has the answers of {len(said)} people, not of {PEOPLE}: {shortened(given)}.")
    return said


def m4c_mean(shares: np.ndarray) -> Figure:
    """The mean of accuracies [cases] in per cent.

    Added one after the other: many figures are exactly between two that are printed.
    """

    def figure(weights: np.ndarray) -> float:
        return 100 * ratio(np.cumsum(weights * shares)[-1], weights.sum())

    return figure


def vqa_mean(shares: np.ndarray) -> Figure:
    """The same, as VQA's programs round it."""

    def figure(weights: np.ndarray) -> float:
        return round(ratio(100 * np.cumsum(weights * shares)[-1], weights.sum()), 2)

    return figure
