"""Pairs of colour and shape that a model is never shown, to see whether it understands them all the same."""

from __future__ import annotations

import numpy as np

from api_core.scenes import COLOURS, SHAPES
from api_core.scenes.captions import CONCEPTS, Concept


def held_out_pairs(count: int) -> tuple[int, ...]:
    """`count` places in `CONCEPTS`, at most 50: every colour and every shape is still met in other company."""
    if not 0 <= count <= 50:
        raise ValueError(f"0 to 50 pairs can be held out, not {count}.")
    pairs = [Concept(COLOURS[k % 10], SHAPES[(k % 10 + k // 10) % 6]) for k in range(count)]
    return tuple(CONCEPTS.index(pair) for pair in pairs)


def rows_without(kinds: np.ndarray, pairs: tuple[int, ...]) -> np.ndarray:
    """Rows of `kinds` [n, K, 2] (colour, shape) in which none of `pairs` occurs."""
    unseen = [(COLOURS.index(str(CONCEPTS[p].colour)), SHAPES.index(str(CONCEPTS[p].shape))) for p in pairs]
    found = np.zeros(len(kinds), bool)
    for colour, shape in unseen:
        found |= ((kinds[..., 0] == colour) & (kinds[..., 1] == shape)).any(1)
    return np.flatnonzero(~found)
