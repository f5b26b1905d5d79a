"""What a decoder is called with, taken for twice as many rows, with tokens that nothing may look at, or without some.

Which arguments there are is each family's business: everything goes by shape, but for positions, whose directions may
stand before the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ....errors import UnsupportedModel

MASK = "attention_mask"
EMBEDDINGS = "inputs_embeds"
_POSITIONS = "position_ids"
_CACHES = ("cache", "past_key_values")


def row_count(arguments: Mapping[str, Any]) -> int:
    """B: the rows of this call."""
    return int(_tokens(arguments).shape[0])


def token_count(arguments: Mapping[str, Any]) -> int:
    """The tokens of each row that this call feeds."""
    return int(_tokens(arguments).shape[1])


def duplicate_rows(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same call with all rows given again behind the last one."""
    rows = row_count(arguments)
    return {name: _duplicated(value, name, rows) for name, value in arguments.items()}


def per_image_token_tensors(arguments: Mapping[str, Any], count: int) -> dict[str, list[Tensor]]:
    """The lists of tensors [count, C] among the arguments: what a decoder adds to its `count` image tokens on the way,
    row by row (Qwen3-VL's deepstack)."""
    return {
        name: list(value)
        for name, value in arguments.items()
        if isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(part, Tensor) and part.ndim == 2 and len(part) == count for part in value)
    }


def mask_out(mask: Any, hidden: Tensor, arguments: Mapping[str, Any], total: int, flat: bool) -> Any:
    """A mask as a decoder takes it, under which the tokens `hidden` (bool [B, at most total]) are seen by none but
    themselves.

    mask: None (all that came before is seen), [B, total], [B or 1, 1, m, keys] (bool or additive), or a dictionary of
    these by the kind of layer. total: the tokens so far, those of this call included. flat: whether attention takes
    masks [B, total] only, as flash attention does.
    """
    rows, fed = row_count(arguments), token_count(arguments)
    hidden = F.pad(hidden, (0, total - hidden.shape[1]))
    if isinstance(mask, dict):
        seen = None if flat else torch.ones(fed, total, dtype=torch.bool, device=hidden.device).tril(total - fed)
        return {
            kind: _hide(seen[None, None] if own is None and seen is not None else own, hidden, rows, fed)
            for kind, own in mask.items()
        }
    return _hide(mask, hidden, rows, fed)


@dataclass(frozen=True)
class ClosedUp:
    """A call whose tokens moved together. arguments: what changed. hidden: bool [B, S], what stands before them now.
    earlier: long [..., B], by how many positions their last one moved; None where positions are left to the decoder."""

    arguments: dict[str, Any]
    hidden: Tensor
    earlier: Tensor | None


def close_up(arguments: Mapping[str, Any], gone: Tensor, padding: Tensor) -> ClosedUp:
    """A call without the tokens `gone`, bool [B, S]: they go to the left, where padding stands, so that the others
    follow each other in order, position and any window. padding: tokens before each prompt, long [B]."""
    embeddings = _tokens(arguments)
    rows, fed = gone.shape
    device = embeddings.device
    gone = gone.to(device) | (torch.arange(fed, device=device) < padding.to(device)[:, None])
    order = gone.long().argsort(dim=1, descending=True, stable=True)
    changed: dict[str, Any] = {
        name: value.gather(1, order.reshape(rows, fed, *[1] * (value.ndim - 2)).expand_as(value))
        for name, value in arguments.items()
        if isinstance(value, Tensor) and value.shape[:2] == gone.shape and name != _POSITIONS
    }
    mask = arguments.get(MASK)
    if isinstance(mask, dict):
        changed[MASK] = {kind: _closed_up(own, order, list(mask.values())) for kind, own in mask.items()}
    elif isinstance(mask, Tensor) and mask.ndim == 4:
        changed[MASK] = _closed_up(mask, order, [mask])
    hidden = gone.gather(1, order)
    plain = arguments.get(_POSITIONS)
    if plain is None:
        return ClosedUp(changed, hidden, None)
    plain = plain.expand(*plain.shape[:-2], rows, fed)
    first = plain.gather(-1, padding.to(plain.device)[:, None].expand(*plain.shape[:-1], 1))
    changed[_POSITIONS] = first + (torch.arange(fed, device=device) - hidden.sum(1, keepdim=True)).clamp(min=0)
    return ClosedUp(changed, hidden, plain[..., -1] - changed[_POSITIONS][..., -1])


def earlier_positions(arguments: Mapping[str, Any], earlier: Tensor | None, both: bool) -> dict[str, Tensor]:
    """The positions of a later call of tokens that stand earlier, behind those as they are where both are wanted."""
    if earlier is None:
        return {}
    plain = arguments[_POSITIONS]
    plain = plain.expand(*plain.shape[:-2], row_count(arguments), plain.shape[-1])
    moved = plain - earlier[..., None]
    return {_POSITIONS: torch.cat([plain, moved], -2) if both else moved}


def all_seen(mask: Any) -> Any:
    """A mask of the same form under which everything is seen."""
    if isinstance(mask, dict):
        return {kind: all_seen(own) for kind, own in mask.items()}
    if not isinstance(mask, Tensor):
        return mask
    return torch.zeros_like(mask) if mask.is_floating_point() else torch.ones_like(mask)


def concat_masks(plain: Any, weakened: Any) -> Any:
    """The masks of both passes as one, the plain pass's rows first."""
    if isinstance(plain, dict):
        return {kind: concat_masks(own, weakened[kind]) for kind, own in plain.items()}
    return None if plain is None else torch.cat([plain, weakened])


def cache_name(arguments: Mapping[str, Any]) -> str | None:
    """What a decoder's cache is called among its arguments, which depends on the version of transformers."""
    return next((name for name in _CACHES if arguments.get(name) is not None), None)


def cache_of(arguments: Mapping[str, Any]) -> Any:
    """The cache among a decoder's arguments; None where there is none."""
    name = cache_name(arguments)
    return None if name is None else arguments[name]


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


def _tokens(arguments: Mapping[str, Any]) -> Tensor:
    found = arguments.get(EMBEDDINGS)
    found = arguments.get("input_ids") if found is None else found
    if not isinstance(found, Tensor):
        raise UnsupportedModel("The decoder of this model is called with neither tokens nor embeddings.")
    return found


def _duplicated(value: Any, name: str, rows: int) -> Any:
    if isinstance(value, Tensor):
        place = 1 if name == _POSITIONS and value.ndim == 3 else 0
        return torch.cat([value, value], place) if value.ndim > 1 and value.shape[place] == rows else value
    if isinstance(value, dict):
        return {key: _duplicated(part, name, rows) for key, part in value.items()}
    return type(value)(_duplicated(part, name, rows) for part in value) if type(value) in (list, tuple) else value


def _closed_up(own: Any, order: Tensor, kinds: Sequence[Any]) -> Any:
    """A prompt's mask [B or 1, 1, S, S] with rows and columns in another order. kinds: all masks of the call, None for
    all that came before; a key is seen where one of them shows it and it is no farther than `own` looks back."""
    if own is None:
        return None
    all_before = torch.ones_like(own, dtype=torch.bool).tril()
    seen = torch.zeros_like(all_before)
    for one in kinds:
        seen = seen | (all_before if one is None else _visible(one))
    reach = int(_visible(own)[..., -1, :].sum(-1).max())
    seen = seen.expand(len(order), -1, -1, -1)
    seen = seen.gather(2, order[:, None, :, None].expand_as(seen)).gather(3, order[:, None, None].expand_as(seen))
    seen = seen & torch.ones_like(seen).triu(1 - reach)
    return seen if own.dtype == torch.bool else torch.zeros_like(own).masked_fill(~seen, torch.finfo(own.dtype).min)


def _visible(mask: Tensor) -> Tensor:
    return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


def _hide(mask: Any, hidden: Tensor, rows: int, fed: int) -> Tensor:
    if mask is None:
        return (~hidden).long()
    if not isinstance(mask, Tensor) or mask.ndim not in (2, 4):
        kind = list(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise UnsupportedModel(
            f"This model keeps its attention mask in a form that no token can be hidden in ({kind}). Load it with "
            "attention sdpa, or choose the scheme zeros."
        )
    if mask.ndim == 2:
        return mask.masked_fill(hidden[:, -mask.shape[1] :], 0)
    keys = mask.shape[-1]  # a window's are the last ones
    own = torch.ones(fed, keys, dtype=torch.bool, device=mask.device).triu(keys - fed).tril(keys - fed)
    covered = hidden[:, None, None, -keys:] & ~own
    least = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    return mask.expand(rows, -1, -1, -1).masked_fill(covered, least)
