"""How many blends go through a model at once: what its memory has room for, and fewer where that was wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..models.devices import free_memory
from ..models.lvlm import memory_estimate as costs
from ..models.lvlm.model import LvlmModel
from ..models.memory import retry_with_smaller_batch
from .answer_contrast import AnyObjective

_T = TypeVar("_T")
_MOST = 16
_SHARE_OF_FREE = 0.6


def blends_at_once(model: LvlmModel, objective: AnyObjective) -> int:
    """As many blends with their gradients as fit into what is free now, 1 to 16."""
    needed = sum(costs.estimate_gradient(model.module, part.inputs, model.dtype) for _, part in objective.parts)
    return max(1, min(_MOST, int(_SHARE_OF_FREE * free_memory(model.device) / max(needed, 1))))


def with_room(model: LvlmModel, chunk: int, work: Callable[[int], _T]) -> _T:
    """The result of `work`, which is told how many blends to take at once: half as many where memory runs out."""
    return retry_with_smaller_batch(
        work,
        chunk,
        model=model.name,
        device=model.device,
        single="while its answer was explained, one picture at a time",
        advice="lower max_pixels, or choose a smaller model",
    )
