"""Batches out of the bank: whole pictures, or pieces around an object (cheaper, for the dense stage)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .bank import GRID, PATCH, Bank


@dataclass
class Batch:
    """`pixels` [B, 3, h, w] 0..1; `cover` [B, K, h/8, w/8] 0..1; `kinds` [B, K, 2]; `corner` [B, 2] of pieces."""

    pixels: Tensor
    cover: Tensor
    kinds: Tensor
    corner: Tensor | None


def whole_pictures(bank: Bank, rows: np.ndarray) -> Batch:
    pixels = torch.from_numpy(bank.pictures[rows]).permute(0, 3, 1, 2).float() / 255
    cover = torch.from_numpy(bank.cover[rows]).float() / 255
    return Batch(pixels, cover, torch.from_numpy(bank.kinds[rows]).long(), None)


def pieces(bank: Bank, rows: np.ndarray, side: int, rng: np.random.Generator) -> Batch:
    """A square of `side` patches of each picture, on part of an object; its positions start at a random corner."""
    cover, kinds = bank.cover[rows], bank.kinds[rows].astype(np.int64)
    weight = (cover.max(1) > 100).reshape(len(rows), -1) * rng.random((len(rows), GRID * GRID)) + 1e-3 * rng.random(
        GRID**2
    )
    centre = np.stack(np.divmod(weight.argmax(1), GRID), 1)
    top = np.clip(centre - rng.integers(0, side, (len(rows), 2)), 0, GRID - side)
    step = np.arange(side)
    pixel_step = np.arange(side * PATCH)
    index = np.arange(len(rows))[:, None, None]
    y, x = top[:, :1] + step, top[:, 1:] + step
    cut = cover[index, :, y[:, :, None], x[:, None, :]].transpose(0, 3, 1, 2)
    pixels = np.stack(
        [
            bank.pictures[row][t * PATCH + pixel_step[:, None], left * PATCH + pixel_step[None]]
            for row, (t, left) in zip(rows, top, strict=True)
        ]
    )
    return Batch(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255,
        torch.from_numpy(np.ascontiguousarray(cut)).float() / 255,
        torch.from_numpy(kinds),
        torch.from_numpy(rng.integers(0, GRID - side + 1, (len(rows), 2))),
    )


class RowOrder:
    """Rows of the bank (all, or those `allowed`) in a new random order each round.

    Set `given` to go on where a former run was.
    """

    def __init__(self, count: int, seed: int, allowed: np.ndarray | None = None) -> None:
        self.allowed = np.arange(count) if allowed is None else allowed
        self.count, self.seed, self.given = len(self.allowed), seed, 0

    def take(self, size: int) -> np.ndarray:
        rows = [self._row(self.given + i) for i in range(size)]
        self.given += size
        return np.array(rows)

    def _row(self, position: int) -> int:
        turn, offset = divmod(position, self.count)
        if getattr(self, "_turn", None) != turn:
            self._turn, self._order = turn, np.random.default_rng([self.seed, turn]).permutation(self.count)
        return int(self.allowed[self._order[offset]])
