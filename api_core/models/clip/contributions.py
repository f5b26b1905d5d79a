"""Carrying the shares of tokens through the last steps of a tower, so that they always add up to the real result.

A sum of token vectors goes through a linear step token by token; a LayerNorm becomes linear when its statistics are
frozen at those of the sum, as the residual decompositions of CLIP do (arXiv 2310.05916). Biases go to `rest`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, jvp


@dataclass(frozen=True)
class Scale:
    """A gain per channel: LayerScale, or a gain per head repeated over the head's channels."""

    gain: Tensor


@dataclass(frozen=True)
class Matrix:
    """A bare projection: rows = channels in, columns = channels out."""

    weight: Tensor


Step = nn.Module | Scale | Matrix


@dataclass(frozen=True)
class Contributions:
    """tokens [B, n, d] and rest [B, d], float32, which together sum to the vector that the model itself computes."""

    tokens: Tensor
    rest: Tensor

    @classmethod
    def of(cls, tokens: Tensor) -> "Contributions":
        return cls(tokens, tokens.new_zeros(tokens.shape[0], tokens.shape[2]))

    @property
    def total(self) -> Tensor:
        """[B, d]"""
        return self.tokens.sum(dim=1) + self.rest

    def propagate(self, steps: Sequence[Step]) -> "Contributions":
        """The shares of what `steps`, one after the other, make of the total."""
        shares = self
        for step in steps:
            shares = shares._propagate_one(step)
        return shares

    def without_prefix(self, count: int) -> "Contributions":
        """Move the first `count` tokens, which have no place in the picture, into the rest."""
        return Contributions(self.tokens[:, count:], self.rest + self.tokens[:, :count].sum(dim=1)) if count else self

    def _propagate_one(self, step: Step) -> "Contributions":
        if isinstance(step, nn.Identity | nn.Dropout | nn.Flatten):
            return self
        if isinstance(step, Scale):
            gain = step.gain.float()
            return Contributions(self.tokens * gain, self.rest * gain)
        if isinstance(step, Matrix):
            weight = step.weight.float()
            return Contributions(self.tokens @ weight, self.rest @ weight)
        if isinstance(step, nn.Linear):
            weight = step.weight.float().T
            bias = 0.0 if step.bias is None else step.bias.float()
            return Contributions(self.tokens @ weight, self.rest @ weight + bias)
        if isinstance(step, nn.LayerNorm):
            gain = inverse_deviation(self.total, step.eps)[:, None] * norm_gain(step)
            bias = 0.0 if step.bias is None else step.bias.float()
            tokens, rest = (part - part.mean(-1, keepdim=True) for part in (self.tokens, self.rest))
            return Contributions(tokens * gain[:, None], rest * gain + bias)
        at = self.total
        result, tokens = jacobian(step, at, self.tokens)
        return Contributions(tokens, result - tokens.sum(dim=1))


def norm_gain(norm: nn.LayerNorm) -> Tensor:
    """[d] or a one of no dimensions: the norm's own gain, in float32."""
    return torch.ones(()) if norm.weight is None else norm.weight.float()


def inverse_deviation(total: Tensor, eps: float) -> Tensor:
    """[B]: one over the standard deviation that a LayerNorm finds in vectors [B, d]."""
    return torch.rsqrt(total.float().var(dim=-1, unbiased=False) + eps)


def in_float32(step: Step, value: Tensor) -> Tensor:
    """What the step makes of float32 vectors [..., d], computed in float32 whatever its weights are held in."""
    if isinstance(step, nn.Identity | nn.Dropout | nn.Flatten):
        return value
    if isinstance(step, Scale):
        return value * step.gain.float()
    if isinstance(step, Matrix):
        return value @ step.weight.float()
    if isinstance(step, nn.LayerNorm):
        weight, bias = (None if entry is None else entry.float() for entry in (step.weight, step.bias))
        return F.layer_norm(value, step.normalized_shape, weight, bias, step.eps)
    return functional_call(step, {name: weight.float() for name, weight in step.named_parameters()}, (value,))


def jacobian(step: Step, at: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """The step's value at vectors [B, d], and its derivative there along directions [B, n, d]: [B, e], [B, n, e]."""
    value = in_float32(step, at)
    point = at[:, None].expand_as(directions).contiguous()
    return value, jvp(lambda vectors: in_float32(step, vectors), (point,), (directions,))[1]
