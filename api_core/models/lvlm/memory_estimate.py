"""About how much memory answering takes, so that a host can make room."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_MARGIN = 1.25
_HIDDEN_COPIES = 8  # a layer's queries, keys, values, scores' output, residuals
_INNER_COPIES = 3  # the gate, the rise and their product


def estimate(module: Any, inputs: Mapping[str, Tensor], dtype: torch.dtype, max_new_tokens: int) -> int:
    """Bytes beside the weights: the cache, one decoder layer over the whole prompt, one layer of the picture tower, and
    the scores of a step in float32 with what picking copies of them.
    """
    item = torch.empty((), dtype=dtype).element_size()
    rows, length = inputs["input_ids"].shape
    text = module.config.get_text_config()
    hidden = _number(text, "hidden_size", 4096)
    heads = _number(text, "num_attention_heads", 32)
    keys = _number(text, "num_key_value_heads", heads) * _number(text, "head_dim", hidden // max(heads, 1))
    cache = 2 * _number(text, "num_hidden_layers", 32) * keys * (length + max_new_tokens) * rows * item
    layer = rows * length * item * _layer_width(text, hidden)
    scores = rows * _number(text, "vocab_size", 32000) * 4 * 4
    return round(_MARGIN * (cache + layer + scores + _tower(module, inputs, item)))


def estimate_gradient(module: Any, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> int:
    """Bytes beside the weights that one pass with gradients for the pixels takes: what every layer keeps for the way
    back, with weights that take no gradient themselves.
    """
    item = torch.empty((), dtype=dtype).element_size()
    rows, length = inputs["input_ids"].shape
    text = module.config.get_text_config()
    width = _layer_width(text, _number(text, "hidden_size", 4096))
    decoder = rows * length * item * _number(text, "num_hidden_layers", 32) * width
    vision = getattr(module.config, "vision_config", None)
    depth = _number(vision, "num_hidden_layers", _number(vision, "depth", 24))
    return round(_MARGIN * (decoder + _tower(module, inputs, item, depth)))


def _tower(module: Any, inputs: Mapping[str, Tensor], item: int, layers: int = 1) -> int:
    pixels = inputs.get("pixel_values")
    vision = getattr(module.config, "vision_config", None)
    if pixels is None or vision is None:
        return 0
    side = _number(vision, "patch_size", 14)
    patches = pixels.numel() // (3 * side * side)
    hidden = _number(vision, "hidden_size", 1024)
    return item * (2 * pixels.numel() + layers * patches * _layer_width(vision, hidden))


def _layer_width(config: Any, hidden: int) -> int:
    return _HIDDEN_COPIES * hidden + _INNER_COPIES * _number(config, "intermediate_size", 4 * hidden)


def _number(config: Any, name: str, default: int) -> int:
    try:
        value = getattr(config, name, None)
    except RuntimeError:  # transformers refuses what differs between layers
        value = None
    value = value[0] if isinstance(value, list | tuple) and value else value
    return int(value) if isinstance(value, int | float) and value else default
