"""An answer of a vision-language model as a function of how much of the picture is there."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..autograd import frozen, without_autocast
from ..errors import InvalidInput, UnsupportedModel
from ..models.lvlm.case import Case
from ..models.lvlm.model import LvlmModel
from ..models.lvlm.pixel_places import pixel_inputs, pixel_places
from .subject import Noise, Towards


class AnswerSubject:
    """One case, a baseline in the place of its first picture, and some tokens of its answer (see `Subject`).

    Blends are made of what the model's processor made of both pictures; only the mask is warped. Weights and pixels are
    float32, the model computes in its own precision, log-likelihoods are float32 again.
    """

    def __init__(
        self, model: LvlmModel, case: Case, baseline: Tensor, token_ids: Sequence[int], tokens: Sequence[int]
    ) -> None:
        """baseline: [H, W, 3], the size of the first picture. token_ids: the answer's. tokens: indices of some."""
        if baseline.shape != case.pictures[0].shape:
            raise InvalidInput(
                f"The baseline must be as large as the picture, {list(case.pictures[0].shape)}, not "
                f"{list(baseline.shape)}."
            )
        if not tokens:
            raise InvalidInput("None of the answer's tokens was chosen, so there is nothing to explain.")
        self._model = model
        self.token_ids, self.tokens = tuple(token_ids), tuple(sorted(tokens))
        with frozen():
            self._places = pixel_places(model, case)
            self._picture = pixel_inputs(model, case)
            self._baseline = pixel_inputs(model, replace(case, pictures=(baseline, *case.pictures[1:])))
            self._fixed = self._text_inputs(case)
        for name, shown in self._picture.items():
            if shown.shape != self._baseline[name].shape or shown.shape != self._places[name].shape:
                raise UnsupportedModel(
                    f"The processor of {model.name} cuts the picture and its baseline differently, so they cannot be "
                    "blended. Use another model."
                )

    def _text_inputs(self, case: Case) -> dict[str, Tensor]:
        """Everything but pixels, with the answer up to what predicts its last chosen token, on the device."""
        model = self._model
        prepared = model.prepare([case], with_places=False)
        self._prompt = prepared.rows[0].length
        shown = torch.tensor([self.token_ids[: self.tokens[-1]]], dtype=torch.long)
        inputs = dict(prepared.inputs)
        if shown.shape[1]:
            inputs = model.family.with_answer(inputs, shown)
        return {name: value.clone().to(model.device) for name, value in inputs.items() if not value.is_floating_point()}

    @property
    def guide(self) -> Tensor:
        name = next(iter(self._picture))
        return _first_view(self._picture[name], self._places[name].x, self._places[name].y)

    def lift(self, masks: Tensor) -> Tensor:
        return torch.cat([places.lift(masks) for places in self._places.values()], 1)

    def score(self, weights: Tensor, towards: Towards, noise: Noise | None = None) -> Tensor:
        return self.log_likelihoods(weights, towards, noise).sum(1)

    def probability(self, weights: Tensor, towards: Towards) -> Tensor:
        return self.log_likelihoods(weights, towards).exp().mean(1)

    def log_likelihoods(self, weights: Tensor, towards: Towards, noise: Noise | None = None) -> Tensor:
        """Of each chosen token for each blend: float32 [N, T]."""
        count = len(weights)
        device = self._model.device
        inputs: dict[str, Any] = {name: _repeated(value, count) for name, value in self._fixed.items()}
        inputs |= {name: self._fit(value) for name, value in self._blends(weights, towards, noise).items()}
        rows = torch.tensor([self._prompt - 1 + token for token in self.tokens], device=device)
        with without_autocast(device.type):
            logits = self._logits(inputs, rows)
        wanted = torch.tensor([self.token_ids[token] for token in self.tokens], device=device)
        picked = logits.float().log_softmax(-1).gather(2, wanted[None, :, None].expand(count, -1, 1))
        return picked[..., 0].to(weights.device)

    def _blends(self, weights: Tensor, towards: Towards, noise: Noise | None) -> dict[str, Tensor]:
        made, first = {}, 0
        for name, picture in self._picture.items():
            part = weights[:, first : first + picture.numel()]
            first += picture.numel()
            shown, other = (picture, self._baseline[name]) if towards == "picture" else (self._baseline[name], picture)
            blend = part * shown.flatten() + (1 - part) * other.flatten()
            blend = blend if noise is None else blend + noise.like(blend) * self._places[name].known
            made[name] = blend.reshape(len(weights) * picture.shape[0], *picture.shape[1:])
        return made

    def _fit(self, pixels: Tensor) -> Tensor:
        return pixels.to(self._model.device, self._model.dtype)

    def _logits(self, inputs: dict[str, Any], rows: Tensor) -> Tensor:
        """The scores at `rows` of every blend: [N, T, vocabulary]."""
        module: Any = self._model.module
        if "logits_to_keep" in inspect.signature(module.forward).parameters:
            logits: Tensor = module(**inputs, use_cache=False, logits_to_keep=rows).logits
            return logits
        whole: Tensor = module(**inputs, use_cache=False).logits
        return whole[:, rows]


def _repeated(value: Tensor, count: int) -> Tensor:
    """An input of one case for `count` of them; what has several rows for one case (tiles) comes as a block."""
    return value.repeat(count, *[1] * (value.ndim - 1))


def _first_view(pixels: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The first view of a pixel input as a picture [C, h, w]; of patches, the whole picture put together by place."""
    if pixels.ndim >= 4:
        return pixels.reshape(-1, *pixels.shape[-3:])[0]
    side = max(2, round((pixels.numel() / 3) ** 0.5))
    down = ((y + 1) / 2 * (side - 1)).round().long().clamp(0, side - 1)
    right = ((x + 1) / 2 * (side - 1)).round().long().clamp(0, side - 1)
    flat = torch.zeros(side * side).index_add(0, down * side + right, pixels.flatten())
    count = torch.zeros(side * side).index_add(0, down * side + right, torch.ones(pixels.numel()))
    return (flat / count.clamp(min=1)).reshape(1, side, side)
