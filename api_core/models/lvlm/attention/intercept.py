"""Reading what chosen attention layers of a decoder compute, while every layer keeps its fused kernel.

transformers asks the `config` of each attention module for the function that computes its attention. Inside
`intercepting` the chosen modules hold a copy of theirs that names a function of ours, which shows the call and then
runs the one that was there. Queries and keys are seen after any rotary embedding, norm and cache, so nothing here knows
a family.
"""

import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from ....errors import UnsupportedModel

Output = tuple[Tensor, Tensor | None]
_NAME = "attention_prompting_intercept"


@dataclass(frozen=True)
class DecoderCall:
    """One attention call of one layer.

    query: [B, H, m, d]; key, value: [B, K, n, d], where H is a multiple of K. mask: None (causal), bool or additive
    [B or 1, H or 1, m, n], or what flash attention takes, [B, n]. options: what else the function was given (softcap,
    sinks, a window).
    """

    module: nn.Module
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scaling: float
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def softcap(self) -> float | None:
        """The scores' limit c where they go through c tanh(score / c)."""
        return cast(float | None, self.options.get("softcap"))

    @property
    def sinks(self) -> Tensor | None:
        """[H]: a score per head that takes part in the softmax and belongs to no token."""
        return cast(Tensor | None, self.options.get("s_aux"))


Read = Callable[[int, DecoderCall, Callable[[], Output]], Output]
"""Gets the layer, the call, and what runs the call as it was; gives what the layer goes on with."""


@contextmanager
def intercepting(modules: Mapping[int, nn.Module], read: Read) -> Iterator[None]:
    """Show `read` every attention call of `modules` (layer -> attention module); as before when the block ends."""
    _register()
    before: dict[int, Any] = {}
    try:
        for layer, module in modules.items():
            config = cast(Any, module).config
            before[layer] = config
            tapped = copy.copy(config)
            # Straight into the dictionary: the property would hand the name on to configs that other modules share.
            tapped.__dict__["_attn_implementation_internal"] = _NAME
            tapped.__dict__["_attention_intercept"] = (layer, read, config._attn_implementation)
            cast(Any, module).config = tapped
        yield
    finally:
        for layer, config in before.items():
            cast(Any, modules[layer]).config = config


def _register() -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _intercepted)


def _intercepted(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> Output:
    layer, read, base = cast(Any, module).config._attention_intercept
    if attention_mask is not None and not isinstance(attention_mask, Tensor):
        raise UnsupportedModel(
            f"The {base} attention of this model keeps its mask in a form that cannot be read "
            f"({type(attention_mask).__name__}). Load it with attention sdpa."
        )

    def proceed() -> Output:
        return cast(Output, _original(module, base)(module, query, key, value, attention_mask, **options))

    scaling = options.get("scaling")
    scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    return cast(Read, read)(layer, DecoderCall(module, query, key, value, attention_mask, scaling, options), proceed)


def _original(module: nn.Module, name: str | None) -> Callable[..., Any]:
    """The function that the module's own config names."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if name is not None and name != "eager":
        return cast(Callable[..., Any], ALL_ATTENTION_FUNCTIONS[name])
    return cast(Callable[..., Any], sys.modules[type(module).__module__].__dict__["eager_attention_forward"])


def score(query: Tensor, key: Tensor, call: DecoderCall) -> Tensor:
    """What queries [H, R, d] score for keys [K, n, d] in this layer, before any mask: float32 [H, R, n]."""
    heads, kept, rows = query.shape[0], key.shape[0], query.shape[1]
    grouped = query.float().reshape(kept, heads // kept * rows, query.shape[-1])
    scores = ((grouped * call.scaling) @ key.float().transpose(-1, -2)).reshape(heads, rows, -1)
    return scores if call.softcap is None else torch.tanh(scores / call.softcap) * call.softcap


def added_scores(call: DecoderCall, case: int, rows: Tensor) -> Tensor | None:
    """What is added to the scores of rows [R] of a call: -inf where they may not look, float32 [H or 1, R, n].

    None where nothing is added: they see every key.
    """
    hidden = _hidden_keys(call, case, rows)
    bias = call.options.get("position_bias")
    if not isinstance(bias, Tensor):
        return hidden
    own = _of_case(bias, case)[:, rows].float()
    return own if hidden is None else own + hidden


def _hidden_keys(call: DecoderCall, case: int, rows: Tensor) -> Tensor | None:
    mask, keys, count = call.mask, call.key.shape[2], call.query.shape[2]
    window = call.options.get("sliding_window")
    if mask is None and count == 1 and not (window and keys > window):
        return None
    if mask is not None and mask.ndim == 4:
        shown = _of_case(mask, case)[:, rows, :keys]
        if shown.dtype == torch.bool:
            return _minus_infinity(~shown)
        lowest = torch.finfo(shown.dtype).min / 2
        return shown.float().masked_fill(shown <= lowest, float("-inf"))
    hidden = torch.zeros(len(rows), keys, dtype=torch.bool, device=call.key.device)
    if call.options.get("is_causal", getattr(call.module, "is_causal", True)) is not False:
        places = torch.arange(keys, device=hidden.device)
        own = (keys - count + rows.to(hidden.device))[:, None]
        hidden |= places > own
        if window:
            hidden |= places <= own - int(window)
    if mask is not None:
        hidden |= mask[case, :keys] == 0
    return _minus_infinity(hidden)[None]


def _of_case(values: Tensor, case: int) -> Tensor:
    return values[case if values.shape[0] > 1 else 0]


def _minus_infinity(hidden: Tensor) -> Tensor:
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, float("-inf"))


def log_totals(scores: Tensor, sinks: Tensor | None) -> Tensor:
    """The softmax's denominator, as a logarithm, of scores [H, R, n]: [H, R]; sinks [H] are counted in."""
    total = scores.logsumexp(-1)
    return total if sinks is None else torch.logaddexp(total, sinks.float()[:, None])
