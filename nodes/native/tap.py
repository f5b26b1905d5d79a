"""Showing what chosen attention layers of one of ComfyUI's decoders compute, while they compute it.

Its layers are handed the attention function as `optimized_attention`, or look it up in their module. For one call it
is exchanged for one that looks at queries, keys and values (after rotary embedding, norm and cache) and calls it.
Weights are never touched, so quantised, patched and offloaded ones are read like any others.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...api_core.autograd import frozen
from ...api_core.models.hooks import capturing
from ...api_core.models.lvlm.attention.intercept import DecoderCall, Read
from ...api_core.models.vision_language import Enter

FUNCTION = "optimized_attention"
LOOKED_UP = "optimized_attention_for_device"

one_at_a_time = threading.RLock()
"""Held while an encoder is tapped: its hooks are on modules that other nodes may share."""


@contextmanager
def tapping(blocks: Mapping[int, nn.Module], read: Read, enter: Enter | None = None) -> Iterator[None]:
    """Show `read` the attention calls of decoder blocks (layer -> block), and `enter` what enters them."""
    with one_at_a_time, capturing() as hooks, ExitStack() as stack:
        tap = _Tap(read)
        for layer, block in blocks.items():
            attention: Any = block.self_attn
            hook = attention.register_forward_pre_hook(tap.before(layer), with_kwargs=True)
            stack.callback(hook.remove)
            stack.callback(attention.register_forward_hook(tap.after, always_call=True).remove)
            if enter is not None:
                hooks.before(block, _entering(layer, enter))
        for module in {sys.modules[type(block.self_attn).__module__] for block in blocks.values()}:
            if hasattr(module, LOOKED_UP):
                stack.enter_context(replaced(module, LOOKED_UP, tap.looked_up(getattr(module, LOOKED_UP))))
        yield


@contextmanager
def replaced(holder: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute of a module or an instance exchanged, and as it was when the block ends."""
    missing = object()
    before = vars(holder).get(name, missing)
    setattr(holder, name, value)
    try:
        yield
    finally:
        if before is missing:
            delattr(holder, name)
        else:
            setattr(holder, name, before)


class _Tap:
    """What the hooks of one block of reading share: the layer that runs, and the last mask in its readable form."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._running: tuple[int, nn.Module] | None = None
        self._mask: tuple[Tensor, Tensor] | None = None

    def before(self, layer: int) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
            self._running = (layer, module)
            if FUNCTION not in kwargs:
                return None
            return args, {**kwargs, FUNCTION: self._shown(layer, module, kwargs[FUNCTION])}

        return hook

    def after(self, module: nn.Module, args: Any, output: Any) -> None:
        self._running = None

    def looked_up(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def find(*args: Any, **kwargs: Any) -> Any:
            found = original(*args, **kwargs)
            return found if self._running is None else self._shown(*self._running, found)

        return find

    def _shown(self, layer: int, module: nn.Module, original: Callable[..., Any]) -> Callable[..., Any]:
        def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, *args: Any, **options: Any) -> Any:
            as_it_was = torch.is_inference_mode_enabled()

            def proceed() -> Any:
                with torch.inference_mode(as_it_was):
                    return original(query, key, value, heads, *args, **options)

            if not options.get("skip_reshape") or query.ndim != 4:
                return proceed()  # heads are not apart: not a call that can be read, and said so in the end
            mask = args[0] if args else options.get("mask")
            scale = options.get("scale")
            scaling = query.shape[-1] ** -0.5 if scale is None else float(scale)
            with frozen():  # what is kept has to be ordinary tensors
                return self._read(layer, DecoderCall(module, query, key, value, self._readable(mask), scaling), proceed)

        return attention

    def _readable(self, mask: Tensor | None) -> Tensor | None:
        """A mask [S, S] or [B, 1, S, S] as [B, 1, S, S], -inf where it hides: ComfyUI fills with a quarter of the least
        number, which would leave a row that sees nothing of the picture a uniform map."""
        if mask is None or mask.dtype == torch.bool:
            return mask if mask is None else mask.reshape(-1, 1, *mask.shape[-2:])
        if self._mask is None or self._mask[0] is not mask:
            hidden = mask < torch.finfo(mask.dtype).min / 8
            self._mask = (mask, mask.masked_fill(hidden, float("-inf")).reshape(-1, 1, *mask.shape[-2:]))
        return self._mask[1]


def _entering(layer: int, enter: Enter) -> Callable[[Any, dict[str, Any]], None]:
    def look(args: Any, kwargs: dict[str, Any]) -> None:
        with frozen():
            enter(layer, args[0] if args else kwargs["x"])

    return look
