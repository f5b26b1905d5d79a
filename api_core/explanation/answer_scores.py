"""An answer of a vision-language model as a function of how much of the picture is there, however it is computed."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from ..errors import InvalidInput
from ..models.conversation.case import Case
from ..models.vision_language import VisionLanguageModel
from .objective import Noise, Towards

_Own = TypeVar("_Own", bound="AnswerScores")


class Blends(Protocol):
    """Blends of a picture and a baseline, and masks over the picture as weights of their P numbers."""

    @property
    def edge_image(self) -> Tensor: ...
    def pixel_weights(self, masks: Tensor) -> Tensor: ...
    def blend(self, weights: Tensor, towards: Towards, noise: Noise | None) -> dict[str, Tensor]: ...


class AnswerScores(ABC):
    """One case, a baseline in the place of its first picture, and some tokens of its answer (see `Objective`)."""

    model: VisionLanguageModel
    case: Case
    blends: Blends
    token_ids: tuple[int, ...]
    tokens: tuple[int, ...]

    @abstractmethod
    def against(self: _Own, baseline: Tensor) -> _Own:
        """The same tokens with another baseline."""

    @abstractmethod
    def read(self, pixels: dict[str, Tensor], count: int) -> Tensor:
        """The log-likelihood of each chosen token under `count` blends: float32 [N, T]."""

    @property
    @abstractmethod
    def bytes_per_blend(self) -> int:
        """About the memory of one blend with its gradients; 0 where blends are read one by one, without any."""

    def of(self: _Own, token_ids: Sequence[int], tokens: Sequence[int]) -> _Own:
        """The same picture and baseline with another answer, or other tokens of it."""
        made = copy.copy(self)
        made.choose(token_ids, tokens)
        return made

    def choose(self, token_ids: Sequence[int], tokens: Sequence[int]) -> None:
        """Score these tokens (indices) of this answer."""
        if not tokens:
            raise InvalidInput("None of the answer's tokens was chosen, so there is nothing to explain.")
        self.token_ids, self.tokens = tuple(token_ids), tuple(sorted(tokens))

    @property
    def parts(self: _Own) -> tuple[tuple[float, _Own], ...]:
        """The answers that the score is made of, and their signs: this one alone."""
        return ((1.0, self),)

    @property
    def edge_image(self) -> Tensor:
        return self.blends.edge_image

    def pixel_weights(self, masks: Tensor) -> Tensor:
        return self.blends.pixel_weights(masks)

    def score(self, weights: Tensor, towards: Towards, noise: Noise | None = None) -> Tensor:
        return self.log_likelihoods(weights, towards, noise).sum(1)

    def probability(self, weights: Tensor, towards: Towards) -> Tensor:
        return self.log_likelihoods(weights, towards).exp().mean(1)

    def log_likelihoods(self, weights: Tensor, towards: Towards, noise: Noise | None = None) -> Tensor:
        """Of each chosen token for each blend: float32 [N, T]."""
        return self.read(self.blends.blend(weights, towards, noise), len(weights)).to(weights.device)
