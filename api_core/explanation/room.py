"""How many blends go through a model at once: what its memory has room for, and fewer where that was wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from ..errors import NotEnoughMemory
from ..models.lvlm import memory_estimate as costs
from ..models.lvlm.model import LvlmModel
from ..models.memory import free_memory, is_out_of_memory
from .contrast import ContrastSubject
from .lvlm_subject import AnswerSubject

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_MOST = 16
_SHARE_OF_FREE = 0.6


def blends_at_once(model: LvlmModel, subject: AnswerSubject | ContrastSubject) -> int:
    """As many blends with their gradients as fit into what is free now, 1 to 16."""
    needed = sum(costs.estimate_gradient(model.module, part.inputs, model.dtype) for _, part in subject.parts)
    return max(1, min(_MOST, int(_SHARE_OF_FREE * free_memory(model.device) / max(needed, 1))))


def with_room(model: LvlmModel, chunk: int, work: Callable[[int], _T]) -> _T:
    """The result of `work`, which is told how many blends to take at once: half as many where memory runs out."""
    while True:
        try:
            return work(chunk)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, NotEnoughMemory) or not is_out_of_memory(error):
                raise
            if chunk == 1:
                raise NotEnoughMemory(
                    f"{model.name} ran out of memory on {model.device} while its answer was explained, one picture at "
                    "a time. Free some (other models, other programs), lower max_pixels, or choose a smaller model."
                ) from error
        chunk //= 2
        log.warning("%s ran out of memory; explaining with %d pictures at once", model.name, chunk)
