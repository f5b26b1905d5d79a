"""A model's memory of a prompt: found among a decoder's arguments, and the rows of two of them put together."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

_NAMES = ("cache", "past_key_values")


def cache_name(arguments: Mapping[str, Any]) -> str | None:
    """What a decoder's cache is called among its arguments, which depends on the version of transformers."""
    return next((name for name in _NAMES if arguments.get(name) is not None), None)


def cache_of(arguments: Mapping[str, Any]) -> Any:
    """The cache among a decoder's arguments; None where there is none."""
    name = cache_name(arguments)
    return None if name is None else arguments[name]


def cache_argument(module: nn.Module) -> str:
    """What a model calls the cache that it is given."""
    return next((name for name in _NAMES if name in inspect.signature(module.forward).parameters), _NAMES[-1])


def append_rows(cache: Any, further: Any, rows: int) -> bool:
    """Put the rows of `further` behind the `rows` of `cache`, which holds as many tokens; `further` is used up.

    False, and nothing done, for a cache that is not known to keep a row of tensors for each row of the batch.
    """
    from transformers import DynamicCache

    if type(cache) is not DynamicCache or type(further) is not DynamicCache or getattr(cache, "offloading", False):
        return False
    pairs = list(zip(cache.layers, further.layers, strict=True))
    if not all(_fits(vars(own), vars(other), rows) for own, other in pairs):
        return False
    for own, other in pairs:
        _append(vars(own), vars(other), rows)
    return True


def _is_rows(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim >= 2 and value.shape[0] == rows


def _fits(own: Mapping[Any, Any], other: Mapping[Any, Any], rows: int) -> bool:
    for name, value in own.items():
        if isinstance(value, dict):
            if not _fits(value, other[name], rows):
                return False
        elif isinstance(value, Tensor) and value.ndim >= 2:
            same = isinstance(other[name], Tensor) and value.shape == other[name].shape
            if not (same and _is_rows(value, rows)):
                return False
    return True


def _append(own: dict[Any, Any], other: dict[Any, Any], rows: int) -> None:
    for name, value in own.items():
        if isinstance(value, dict):
            _append(value, other[name], rows)
        elif _is_rows(value, rows):
            own[name] = torch.cat([value, other[name]])
            other[name] = None  # layer by layer, so that there are never two of everything
