"""What the data sets whose questions have lettered options share: who chose what, and the shares that are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..cases import QuestionCase
from .data_set import Answers

Reader = Callable[[str, QuestionCase], str]
"""Gets an answer and its case, and gives the letter that is chosen, or "" where none is."""


def chosen(cases: Sequence[QuestionCase], answers: Answers, reader: Reader) -> np.ndarray:
    """The letter of each answer: [cases], text; "" for none."""
    return np.array([reader(answers.get(case.id, ""), case) for case in cases], dtype="<U1")


def letters_of(cases: Sequence[QuestionCase], name: str = "truth") -> np.ndarray:
    """The letter that each case's `meta` has under a name: [cases], text."""
    return np.array([case.meta[name] for case in cases], dtype="<U1")
