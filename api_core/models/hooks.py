"""Reading what a module computes while it runs, without changing what it computes.

Everything is attached inside a `with` and detached in its `finally`, exceptions included. Attention is read where the
fused kernel is called, so the kernel stays: queries, keys and values are seen after any rotary embedding or norm.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle


@dataclass(frozen=True)
class AttentionCall:
    """One fused attention call: query [B, H, m, d], key and value [B, H, n, d], and how the scores are formed."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None = None
    scale: float | None = None
    causal: bool = False


class _AttentionWatcher(TorchFunctionMode):
    """Shows every scaled_dot_product_attention to `read` before running it as it is."""

    def __init__(self, read: Callable[[AttentionCall], None]) -> None:
        super().__init__()
        self.read = read

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False))
            named.update(kwargs)
            self.read(
                AttentionCall(
                    named["query"],
                    named["key"],
                    named["value"],
                    named.get("attn_mask"),
                    named.get("scale"),
                    bool(named.get("is_causal", False)),
                )
            )
        return func(*args, **kwargs)


class Hooks:
    """The hooks of one `capturing` block."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []
        self._open: list[_AttentionWatcher] = []

    def before(self, module: nn.Module, read: Callable[[tuple[Any, ...], dict[str, Any]], None]) -> None:
        """Call `read(args, kwargs)` with what `module` is about to be called with."""

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            read(args, kwargs)

        self._handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    def exchange(self, module: nn.Module, change: Callable[[tuple[Any, ...], dict[str, Any]], Any]) -> None:
        """Call `module` with the args and kwargs that `change(args, kwargs)` makes of those it is about to get; None
        leaves them."""

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return change(args, kwargs)

        self._handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    def after(self, module: nn.Module, read: Callable[[Any], None]) -> None:
        """Call `read(output)` with what `module` returned."""

        def hook(_: nn.Module, args: Any, output: Any) -> None:
            read(output)

        self._handles.append(module.register_forward_hook(hook))

    def attention(self, module: nn.Module, read: Callable[[AttentionCall], None]) -> None:
        """Call `read` with every fused attention call made inside `module`.

        Not for nn.MultiheadAttention: with such a mode on it would leave its own fast path. Read its inputs instead.
        """

        def enter(_: nn.Module, args: Any) -> None:
            tap = _AttentionWatcher(read)
            tap.__enter__()
            self._open.append(tap)

        def leave(_: nn.Module, args: Any, output: Any) -> None:
            if self._open:
                self._open.pop().__exit__(None, None, None)

        self._handles.append(module.register_forward_pre_hook(enter))
        self._handles.append(module.register_forward_hook(leave, always_call=True))

    def detach(self) -> None:
        """Take every hook off, and leave any attention mode that an exception left open."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        while self._open:
            self._open.pop().__exit__(None, None, None)


@contextmanager
def capturing() -> Iterator[Hooks]:
    """Hooks that are gone when the block ends, however it ends."""
    hooks = Hooks()
    try:
        yield hooks
    finally:
        hooks.detach()


def first_tensor(value: Any) -> Tensor:
    """The tensor of a module's output that is a tensor, or a tuple that begins with one."""
    return value if isinstance(value, Tensor) else value[0]


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None, scale: float | None = None) -> Tensor:
    """Softmax attention of single queries [B, H, d] over keys [B, H, n, d], in float32: [B, H, n].

    mask: bool (True = may look) or additive, one that broadcasts to [B, H, n].
    """
    scores = torch.einsum("bhd,bhnd->bhn", query.float(), key.float())
    scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
    return masked_softmax(scores, mask)


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax of scores [B, H, n] under a mask as attention takes it (bool: True = may look; else additive)."""
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask.float()
    return scores.softmax(dim=-1)
