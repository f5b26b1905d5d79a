"""An answer of a vision-language model as a function of how much of the picture is there."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..autograd import frozen, without_autocast
from ..errors import InvalidInput
from ..models.conversation.case import Case
from ..models.lvlm.model import LvlmModel
from .objective import Noise, Towards
from .pixel_blends import PixelBlends


class AnswerObjective:
    """One case, a baseline in the place of its first picture, and some tokens of its answer (see `Objective`).

    Weights and pixels are float32, the model computes in its own precision, log-likelihoods are float32 again.
    """

    def __init__(
        self, model: LvlmModel, case: Case, baseline: Tensor, token_ids: Sequence[int], tokens: Sequence[int]
    ) -> None:
        """baseline: [H, W, 3], the size of the first picture. token_ids: the answer's. tokens: indices of some."""
        self.model, self.case = model, case
        self.blends = PixelBlends.of(model, case, baseline)
        with frozen():
            prepared = model.prepare([case], with_places=False)
        self.prompt_length = prepared.rows[0].length
        self._prompt = prepared.inputs
        self._choose(token_ids, tokens)

    def of(self, token_ids: Sequence[int], tokens: Sequence[int]) -> AnswerObjective:
        """The same picture and baseline with another answer, or other tokens of it."""
        made = copy.copy(self)
        made._choose(token_ids, tokens)
        return made

    def against(self, baseline: Tensor) -> AnswerObjective:
        """The same tokens with another baseline."""
        made = copy.copy(self)
        made.blends = self.blends.against(self.model, self.case, baseline)
        return made

    def _choose(self, token_ids: Sequence[int], tokens: Sequence[int]) -> None:
        """Everything but pixels goes to the device, with the answer up to what predicts its last chosen token."""
        if not tokens:
            raise InvalidInput("None of the answer's tokens was chosen, so there is nothing to explain.")
        self.token_ids, self.tokens = tuple(token_ids), tuple(sorted(tokens))
        model = self.model
        with frozen():
            shown = torch.tensor([self.token_ids[: self.tokens[-1]]], dtype=torch.long)
            inputs = model.family.with_answer(self._prompt, shown) if shown.shape[1] else self._prompt
            own = {name: value.clone() for name, value in inputs.items() if name not in self.blends.picture}
            self._fixed = model.to_device(own)

    @property
    def parts(self) -> tuple[tuple[float, AnswerObjective], ...]:
        """The answers that the score is made of, and their signs: this one alone."""
        return ((1.0, self),)

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What the model is given for one blend."""
        return {**self._fixed, **self.blends.picture}

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

    def read(self, pixels: dict[str, Tensor], count: int) -> Tensor:
        """The log-likelihood of each chosen token under `count` pictures' pixels: float32 [N, T] on the device."""
        device, dtype = self.model.device, self.model.dtype
        inputs: dict[str, Any] = {name: _repeated(value, count) for name, value in self._fixed.items()}
        inputs |= {name: value.to(device, dtype) for name, value in pixels.items()}
        rows = torch.tensor([self.prompt_length - 1 + token for token in self.tokens], device=device)
        with without_autocast(device.type):
            logits = self._logits(inputs, rows)
        wanted = torch.tensor([self.token_ids[token] for token in self.tokens], device=device)
        return logits.float().log_softmax(-1).gather(2, wanted[None, :, None].expand(count, -1, 1))[..., 0]

    def _logits(self, inputs: dict[str, Any], rows: Tensor) -> Tensor:
        """The scores at `rows` of every blend: [N, T, vocabulary]."""
        module: Any = self.model.module
        if "logits_to_keep" in inspect.signature(module.forward).parameters:
            logits: Tensor = module(**inputs, use_cache=False, logits_to_keep=rows).logits
            return logits
        whole: Tensor = module(**inputs, use_cache=False).logits
        return whole[:, rows]


def _repeated(value: Tensor, count: int) -> Tensor:
    """An input of one case for `count` of them; what has several rows for one case (tiles) comes as a block."""
    return value.repeat(count, *[1] * (value.ndim - 1))
