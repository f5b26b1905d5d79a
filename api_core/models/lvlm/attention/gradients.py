"""Gradients of an answer's log-probability with respect to attention weights of chosen rows and layers.

Only the read rows of the wanted layers are computed with their weights in the open; everything else keeps its fused
kernel. Weights of the model take no gradient, and what lies below the first wanted layer is not recorded, so memory
holds the layers from there on, for one case at a time.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....autograd import differentiable, frozen, without_autocast, without_weight_gradients
from ....errors import UnsupportedModel
from ...conversation.case import Prepared, Reply
from ..generate.teacher_forcing import answered_inputs
from ..model import LvlmModel
from .intercept import DecoderCall, Output, added_scores, intercepting, score
from .recorder import placed_image_positions

# Gradients through fp16 layers fall below its smallest numbers when they start at 1.
_FP16_GAIN = 1024.0


@dataclass(frozen=True)
class WeightGradients:
    """Of one layer: attention weights over all keys and their gradients at the wanted columns, float32 [H, R, n]."""

    layer: int
    weights: Tensor
    gradients: Tensor


def attention_gradients(
    model: LvlmModel,
    prepared: Prepared,
    reply: Reply,
    *,
    layers: Sequence[int],
    positions: Sequence[int],
    tokens: Sequence[int],
    columns: Tensor | None = None,
) -> Iterator[WeightGradients]:
    """For one case: layer by layer, at the rows at `positions` of prompt and answer.

    tokens: the indices in the reply of those whose summed log-probability is differentiated. columns: the tokens that
    are looked at, long [n]; None for the image tokens. Raises
    AttentionPromptingError for a model that was built or moved inside inference mode.
    """
    with frozen():  # a host may call from inside inference mode, whose tensors no gradient passes
        rows = torch.tensor(positions, device=model.device)
        wanted_columns = placed_image_positions(model, prepared.rows[0]) if columns is None else columns
        seen = wanted_columns.to(model.device)
        inputs = {name: value.clone() for name, value in answered_inputs(model, prepared, [reply]).items()}
    weights: dict[int, Tensor] = {}

    def read(layer: int, call: DecoderCall, proceed: Any) -> Output:
        out, _ = proceed()
        weights[layer] = _open_weights(call, rows)
        own = _mix(weights[layer], call.value[0]).to(out.dtype)
        return out.index_copy(1, rows, own.transpose(0, 1).unsqueeze(0)), None

    wanted = sorted(set(layers))
    modules = {layer: model.family.attention(model.module, layer) for layer in wanted}
    gain = _FP16_GAIN if model.dtype == torch.float16 else 1.0
    with (
        differentiable(model.module, *inputs.values()),
        without_autocast(model.device.type),
        without_weight_gradients(model.module),
        intercepting(modules, read),
    ):
        total = _log_probability(model, inputs, reply, tokens) * gain
        missing = [layer for layer in wanted if layer not in weights]
        if missing:
            raise UnsupportedModel(
                f"Layer {missing[0]} of {model.name} did not show its attention to transformers' interface. "
                "Choose another layer."
            )
        gradients = torch.autograd.grad(total, [weights[layer] for layer in wanted])
    for layer, gradient in zip(wanted, gradients, strict=True):
        picked = weights[layer].detach()[..., seen], gradient[..., seen] / gain
        yield WeightGradients(layer, *(tensor.to("cpu", torch.float32) for tensor in picked))


def _log_probability(model: LvlmModel, inputs: dict[str, Tensor], reply: Reply, tokens: Sequence[int]) -> Tensor:
    """The summed log-probability of the reply's tokens at these indices."""
    count = len(reply.token_ids)
    # The vocabulary's scores of all other rows would be the largest tensor by far. The rows are named one by one: given
    # their number, some decoders leave the other rows out of layers too.
    takes = inspect.signature(model.module.forward).parameters
    length = inputs["input_ids"].shape[1]
    last = torch.arange(length - count, length, device=model.device)
    kept = {"logits_to_keep": last} if "logits_to_keep" in takes else {}
    logits = model.module(**inputs, use_cache=False, **kept).logits[0, -count:]
    chosen = torch.tensor(tokens, device=logits.device)
    ids = torch.tensor(reply.token_ids, device=logits.device)
    return logits[chosen].float().log_softmax(-1).gather(1, ids[chosen, None]).sum()


def _open_weights(call: DecoderCall, rows: Tensor) -> Tensor:
    """Attention weights [H, R, m] of rows of a call with one case, as the leaf or a part of a graph."""
    scores = score(call.query[0][:, rows], call.key[0], call)
    added = added_scores(call, 0, rows)
    scores = scores if added is None else scores + added
    if call.sinks is not None:
        sinks = call.sinks.float()[:, None, None].expand(-1, len(rows), 1)
        weights = torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]
    else:
        weights = scores.softmax(-1)
    return weights if weights.requires_grad else weights.detach().requires_grad_()


def _mix(weights: Tensor, value: Tensor) -> Tensor:
    """Values [K, m, d] weighted by [H, R, m]: [H, R, d]."""
    heads, rows, keys = weights.shape
    kept = value.shape[0]
    mixed = weights.reshape(kept, heads // kept * rows, keys) @ value.float()
    return mixed.reshape(heads, rows, value.shape[-1])
