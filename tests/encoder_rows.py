"""The attention of ComfyUI's encoders computed anew in float64, from what enters a layer, with own rotary code."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def entering(layers: Sequence[Any]) -> Iterator[dict[int, Tensor]]:
    """What the attention of each layer gets in the first pass of this block: [S, c], float64."""
    kept: dict[int, Tensor] = {}
    hooks = []
    for number, layer in enumerate(layers):
        if not hasattr(layer, "self_attn"):
            continue

        def keep(_: Any, args: Any, kwargs: dict[str, Any], number: int = number) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            kept.setdefault(number, hidden[0].double().clone())

        hooks.append(layer.self_attn.register_forward_pre_hook(keep, with_kwargs=True))
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def positions_of(kind: str, length: int, start: int, rows: int, columns: int) -> Tensor:
    """Time, row and column of each token: [3, S]. The picture's tokens begin at `start`."""
    own = torch.arange(length, dtype=torch.float64).repeat(3, 1)
    if kind not in ("qwen3vl", "qwen25vl", "joyimage"):
        return own
    end = start + rows * columns
    own[0, start:end] = start
    own[1, start:end] = start + torch.arange(rows).repeat_interleave(columns)
    own[2, start:end] = start + torch.arange(columns).repeat(rows)
    own[:, end:] = start + max(rows, columns) + torch.arange(length - end)
    return own


def attention(
    kind: str, layers: Sequence[Any], config: Any, layer: int, entered: dict[int, Tensor], places: Tensor
) -> Tensor:
    """The softmax [H, S, S] of one layer."""
    own = layers[layer].self_attn
    shared = getattr(config, "num_kv_shared_layers", 0) if kind.startswith("gemma4") else 0
    first = len(layers) - shared
    source = layer if layer < first else max(at for at in range(first) if at % 2 == layer % 2)
    q_heads, k_heads = own.num_heads, layers[source].self_attn.num_kv_heads
    query = _linear(own.q_proj, entered[layer])
    if kind == "qwen35":
        query = query.reshape(len(query), q_heads, -1)[..., : own.head_dim].reshape(len(query), -1)
    query = _heads(query, q_heads)
    key = _heads(_linear(layers[source].self_attn.k_proj, entered[source]), k_heads)
    if own.q_norm is not None:
        query, key = _norm(own.q_norm, query), _norm(layers[source].self_attn.k_norm, key)
    angles = _angles(kind, config, places, bool(getattr(layers[layer], "sliding_attention", False)), own.head_dim)
    query, key = _turned(query, angles), _turned(key, angles)
    scale = 1.0 if kind.startswith("gemma4") else own.head_dim**-0.5
    scores = torch.einsum("hsd,htd->hst", query, key.repeat_interleave(q_heads // k_heads, 0)) * scale
    count = scores.shape[-1]
    hidden = torch.ones(count, count, dtype=torch.bool).triu(1)
    if window := getattr(layers[layer], "sliding_attention", False):
        hidden |= torch.ones(count, count, dtype=torch.bool).tril(-window)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1)


def _linear(linear: Any, values: Tensor) -> Tensor:
    with torch.inference_mode():
        weight = linear.whole_weight() if hasattr(linear, "whole_weight") else linear.weight
        weight = (weight.dequantize() if hasattr(weight, "_layout_cls") else weight).double()
        out = values @ weight.T
        return out if linear.bias is None else out + linear.bias.double()


def _heads(values: Tensor, count: int) -> Tensor:
    return values.reshape(len(values), count, -1).transpose(0, 1)


def _norm(norm: Any, values: Tensor) -> Tensor:
    weight = norm.weight.double() + (1.0 if getattr(norm, "add", False) else 0.0)
    return values / (values.square().mean(-1, keepdim=True) + norm.eps).sqrt() * weight


def _angles(kind: str, config: Any, places: Tensor, sliding: bool, width: int) -> Tensor:
    """[S, a]: by how much each pair of dimensions is turned."""
    if kind.startswith("gemma"):
        base, stretch = config.rope_theta[sliding], 1.0
        if kind.startswith("gemma3"):
            stretch = config.rope_scale[sliding]
        speeds = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width) / stretch
        if kind.startswith("gemma4") and not sliding:
            speeds[int(config.partial_rotary_factor * width // 2) :] = 0.0
        return places[0, :, None] * speeds
    if kind == "qwen35":
        width = int(width * config.partial_rotary_factor)
    speeds = config.rope_theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    axis = torch.zeros(len(speeds), dtype=torch.long)
    if kind == "qwen25vl":
        axis = torch.repeat_interleave(torch.arange(3), torch.tensor(config.rope_dims))
    elif kind in ("qwen3vl", "joyimage"):
        for number in (1, 2):
            axis[number : 3 * config.rope_dims[number] : 3] = number
    return places[axis].T * speeds


def _turned(values: Tensor, angles: Tensor) -> Tensor:
    half = angles.shape[-1]
    first, second, rest = values[..., :half], values[..., half : 2 * half], values[..., 2 * half :]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], -1)
