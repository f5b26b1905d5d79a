"""How many blends go through a model at once: what its memory has room for, and fewer where that was wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from torch import Tensor

from ..models.devices import free_memory
from ..models.memory import retry_with_smaller_batch
from ..models.vision_language import VisionLanguageModel
from ..progress import Progress, ignore_progress
from .answer_contrast import AnyObjective
from .faithfulness import Faithfulness, measure
from .method import ExplainContext, ExplanationMethod, MethodResult

_T = TypeVar("_T")
_MOST = 16
_SHARE_OF_FREE = 0.6


def blend_batch_size(model: VisionLanguageModel, objective: AnyObjective) -> int:
    """As many blends with their gradients as fit into what is free now, 1 to 16."""
    needed = sum(part.bytes_per_blend for _, part in objective.parts)
    return max(1, min(_MOST, int(_SHARE_OF_FREE * free_memory(model.device) / max(needed, 1))))


def compute_map(method: ExplanationMethod, context: ExplainContext) -> MethodResult:
    """What a method finds, with fewer blends at once where memory runs out."""
    return with_fewer_blends(context.model, context.chunk, lambda chunk: method.compute(replace(context, chunk=chunk)))


def judge_map(
    context: ExplainContext,
    objective: AnyObjective,
    importance: Tensor,
    steps: int,
    on_progress: Progress = ignore_progress,
) -> Faithfulness:
    """The curves of a map, which need no gradients and so have room for twice as many blends."""
    return with_fewer_blends(
        context.model,
        2 * context.chunk,
        lambda chunk: measure(objective, importance, steps=steps, chunk=chunk, on_progress=on_progress),
    )


def with_fewer_blends(model: VisionLanguageModel, chunk: int, work: Callable[[int], _T]) -> _T:
    """The result of `work`, which is told how many blends to take at once: half as many where memory runs out."""
    return retry_with_smaller_batch(
        work,
        chunk,
        model=model.name,
        device=model.device,
        single="while its answer was explained, one picture at a time",
        advice="lower max_pixels, or choose a smaller model",
    )
