"""Picking the next token of every row from its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ....errors import InvalidInput, quoted
from ....settings import is_number

COLDEST = 1e-6
"""A lower temperature draws no otherwise, and would make scores infinite."""


class Pick(Protocol):
    """Takes scores [rows, vocabulary], float32, and gives each row's next token: long [rows]."""

    def __call__(self, scores: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Sampling:
    """Answers drawn at random. temperature: above 0, lower is surer. top_p: only the likeliest tokens that together
    have this probability, 0..1; top_k: only so many, 0 for all. The same seed gives the same answer to the same case,
    wherever in a batch it stands.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (is_number(self.temperature) and self.temperature > 0):
            raise InvalidInput(
                f"The temperature must be above 0, not {quoted(self.temperature)}. For 0 decode greedily."
            )
        if not 0 < self.top_p <= 1:
            raise InvalidInput(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if self.top_k < 0:
            raise InvalidInput(f"top_k must be 0 (all tokens) or more, not {self.top_k}.")
        if not 0 <= self.seed < 1 << 64:
            raise InvalidInput(f"The seed must be a whole number from 0 to {(1 << 64) - 1}, not {self.seed}.")


def pick_greedily(scores: Tensor) -> Tensor:
    """The likeliest token of each row."""
    return scores.argmax(dim=-1)


class Sampler:
    """Draws each row's tokens with a generator of its own: rows do not know of each other. seeds: of the rows; where
    there is none, that of the sampling."""

    def __init__(self, sampling: Sampling, rows: int, seeds: Sequence[int | None] | None = None) -> None:
        self.sampling = sampling
        own = [sampling.seed if seed is None else seed for seed in seeds or [None] * rows]
        self._generators = [torch.Generator().manual_seed(seed) for seed in own]

    def __call__(self, scores: Tensor) -> Tensor:
        chances, tokens = truncated_probabilities(scores, self.sampling)
        bounds = chances.cumsum(dim=-1)
        drawn = torch.cat([torch.rand(1, generator=generator) for generator in self._generators]).to(scores.device)
        chosen = (bounds <= drawn[:, None] * bounds[:, -1:]).sum(dim=-1, keepdim=True)
        last = (chances > 0).sum(dim=-1, keepdim=True).clamp(min=1) - 1  # rounding must not draw what was cut off
        return tokens.gather(1, torch.minimum(chosen, last))[:, 0]


def truncated_probabilities(scores: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The chances of tokens after temperature, top_k and top_p, likeliest first, and the tokens: both [rows, v].

    What was cut off has chance 0. The token that crosses top_p is kept, so that there is always one.
    """
    ordered, tokens = (scores.float() / max(sampling.temperature, COLDEST)).sort(dim=-1, descending=True, stable=True)
    chances = ordered.softmax(dim=-1)
    if sampling.top_k:
        chances[:, sampling.top_k :] = 0
        chances = chances / chances.sum(dim=-1, keepdim=True)
    before = chances.cumsum(dim=-1) - chances
    chances = chances.masked_fill(before >= sampling.top_p, 0) if sampling.top_p < 1 else chances
    return chances, tokens
