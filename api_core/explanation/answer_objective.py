"""An answer's scores by blending the pixels that the model's own processor makes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..autograd import frozen, without_autocast
from ..models.conversation.case import Case
from ..models.lvlm.generate import teacher_forcing
from ..models.lvlm.memory_estimate import estimate_gradient
from ..models.lvlm.model import LvlmModel
from .answer_scores import AnswerScores
from .pixel_blends import PixelBlends


class AnswerObjective(AnswerScores):
    """The scores as a function of the model's own pixels, which gradients pass.

    Weights and pixels are float32, the model computes in its own precision, log-likelihoods are float32 again.
    """

    def __init__(
        self, model: LvlmModel, case: Case, baseline: Tensor, token_ids: Sequence[int], tokens: Sequence[int]
    ) -> None:
        """baseline: [H, W, 3], the size of the first picture. token_ids: the answer's. tokens: indices of some."""
        self.model: LvlmModel = model
        self.case = case
        self.blends: PixelBlends = PixelBlends.of(model, case, baseline)
        with frozen():
            prepared = model.prepare([case], with_places=False)
        self.prompt_length = prepared.rows[0].length
        self._prompt = prepared.inputs
        self.choose(token_ids, tokens)

    def against(self, baseline: Tensor) -> AnswerObjective:
        """The same tokens with another baseline."""
        made = copy.copy(self)
        made.blends = self.blends.against(self.model, self.case, baseline)
        return made

    def choose(self, token_ids: Sequence[int], tokens: Sequence[int]) -> None:
        """Everything but pixels goes to the device, with the answer up to what predicts its last chosen token."""
        super().choose(token_ids, tokens)
        model = self.model
        with frozen():
            shown = torch.tensor([self.token_ids[: self.tokens[-1]]], dtype=torch.long)
            inputs = model.family.with_answer(self._prompt, shown) if shown.shape[1] else self._prompt
            own = {name: value.clone() for name, value in inputs.items() if name not in self.blends.picture}
            self._fixed = model.to_device(own)

    @property
    def bytes_per_blend(self) -> int:
        """About the memory of one blend with its gradients; 0 where blends are read one by one, without any."""
        return estimate_gradient(self.model.module, {**self._fixed, **self.blends.picture}, self.model.dtype)

    def read(self, pixels: dict[str, Tensor], count: int) -> Tensor:
        """The log-likelihood of each chosen token under `count` pictures' pixels: float32 [N, T] on the device."""
        device, dtype = self.model.device, self.model.dtype
        inputs: dict[str, Any] = {name: _repeated(value, count) for name, value in self._fixed.items()}
        inputs |= {name: value.to(device, dtype) for name, value in pixels.items()}
        rows = torch.tensor([self.prompt_length - 1 + token for token in self.tokens], device=device)
        wanted = torch.tensor([self.token_ids[token] for token in self.tokens], device=device)
        with without_autocast(device.type):
            return teacher_forcing.log_likelihoods(self.model.module, inputs, rows, wanted)


def _repeated(value: Tensor, count: int) -> Tensor:
    """An input of one case for `count` of them; what has several rows for one case (tiles) comes as a block."""
    return value.repeat(count, *[1] * (value.ndim - 1))
