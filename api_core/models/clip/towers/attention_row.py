"""What a readout reads of attention: one query's row, with what it would take from each token; every token's keys."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...hooks import AttentionCall, attention_weights, masked_softmax


@dataclass(frozen=True)
class AttentionWeights:
    """weights: [B, H, n], summing to 1 over n. values: [B, n, H * d], the heads side by side. Both float32."""

    weights: Tensor
    values: Tensor

    @property
    def weighted(self) -> Tensor:
        """[B, n, H * d]: what each token gives; the sum over tokens is the attention's result before its projection."""
        batch, heads, count = self.weights.shape
        per_head = self.values.view(batch, count, heads, -1) * self.weights.transpose(1, 2)[..., None]
        return per_head.flatten(2)


@dataclass(frozen=True)
class KeysAndValues:
    """Of every token, float32 [B, H, n, d]. scale: of a product of two keys, None for the root of d below it."""

    keys: Tensor
    values: Tensor
    scale: float | None = None


@dataclass(frozen=True)
class Projections:
    """The weights of a multi-head attention: query, key and value, each [H * d, channels], with biases or None."""

    query: Tensor
    key: Tensor
    value: Tensor
    query_bias: Tensor | None
    key_bias: Tensor | None
    value_bias: Tensor | None
    heads: int

    @classmethod
    def of(cls, attention: Any) -> "Projections":
        """Read nn.MultiheadAttention, or a module with q_proj, k_proj and v_proj."""
        if isinstance(attention, nn.MultiheadAttention):
            if attention.in_proj_weight is not None:
                query, key, value = attention.in_proj_weight.chunk(3)
            else:
                query, key, value = attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight
            bias = attention.in_proj_bias
            query_bias, key_bias, value_bias = (None, None, None) if bias is None else bias.chunk(3)
            return cls(query, key, value, query_bias, key_bias, value_bias, attention.num_heads)
        query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
        biases = (query.bias, key.bias, value.bias)
        return cls(query.weight, key.weight, value.weight, *biases, attention.num_heads)

    def row(self, query: Tensor, tokens: Tensor, mask: Tensor | None = None) -> AttentionWeights:
        """The row of single queries [B, channels] over tokens [B, n, channels].

        The query is taken back through the key weights, so no keys are built; their bias adds the same to every score
        and drops out of the softmax.
        """
        batch = tokens.shape[0]
        tokens = tokens.float()
        projected = nn.functional.linear(query.float(), self.query.float(), _float(self.query_bias))
        per_head = projected.view(batch, self.heads, -1)
        key = self.key.float().view(self.heads, per_head.shape[-1], -1)
        pulled = torch.einsum("bhd,hdc->bhc", per_head, key) * per_head.shape[-1] ** -0.5
        weights = masked_softmax(pulled @ tokens.transpose(1, 2), mask)
        return AttentionWeights(weights, self.values(tokens))

    def pairs(self, tokens: Tensor) -> "KeysAndValues":
        """What every one of tokens [B, n, channels] is found by, and what it gives."""
        tokens = tokens.float()
        keys = nn.functional.linear(tokens, self.key.float(), _float(self.key_bias))
        per_head = (*tokens.shape[:2], self.heads, -1)
        key, value = (part.view(per_head).transpose(1, 2) for part in (keys, self.values(tokens)))
        return KeysAndValues(key, value)

    def values(self, tokens: Tensor) -> Tensor:
        """[B, n, H * d] of float32 tokens [B, n, channels]."""
        return nn.functional.linear(tokens, self.value.float(), _float(self.value_bias))


def row_of_call(call: AttentionCall) -> AttentionWeights:
    """The row of the first query of a fused attention call."""
    mask = call.mask
    if mask is not None:
        mask = mask.expand(*call.query.shape[:2], call.query.shape[2], call.key.shape[2])[:, :, 0]
    weights = attention_weights(call.query[:, :, 0], call.key, mask, call.scale)
    return AttentionWeights(weights, call.value.float().transpose(1, 2).flatten(2))


def pairs_of_call(call: AttentionCall) -> KeysAndValues:
    """The keys and values of a fused attention call, after any rotary embedding or norm."""
    return KeysAndValues(call.key.float(), call.value.float(), call.scale)


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()
