"""What a way of explaining an answer is to the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..models.conversation.case import Case, Reply
from ..models.vision_language import VisionLanguageModel
from ..progress import Progress
from ..settings import Number, Setting
from .answer_contrast import AnyObjective
from .answer_scores import AnswerScores

SIDE = 32
"""Rows and columns of a map that has no grid of its own."""


@dataclass(frozen=True)
class ExplainContext:
    """One answer to explain.

    objective: of its chosen tokens. other: what it is set against, if anything. baseline: [H, W, 3]. settings: all of
    the method's, by name. chunk: blends that fit at once. on_preview: gets the importance [rows, columns] so far.
    """

    model: VisionLanguageModel
    case: Case
    reply: Reply
    objective: AnyObjective
    other: Reply | None
    baseline: Tensor
    settings: Mapping[str, Number]
    seed: int
    chunk: int
    on_progress: Progress
    on_preview: Callable[[Tensor], None]

    @property
    def answers(self) -> list[tuple[float, AnswerScores, Reply]]:
        """The answers that the score is made of, each with its sign: the explained one, and what it is set against."""
        replies = [self.reply] if self.other is None else [self.reply, self.other]
        return [(sign, part, reply) for (sign, part), reply in zip(self.objective.parts, replies, strict=True)]


@dataclass(frozen=True)
class MethodResult:
    """importance: float32 [rows, columns], its corner cells on the picture's corners. evaluations: pictures that the
    model was shown for it, gradients: how many of them with a backward pass."""

    importance: Tensor
    evaluations: int = 0
    gradients: int = 0


@dataclass(frozen=True)
class ExplanationMethod:
    """name: what callers choose it by. describes: one sentence for people. settings: what can be set, with ranges.
    by_gradient: whether it goes back through the model."""

    name: str
    compute: Callable[[ExplainContext], MethodResult]
    describes: str
    settings: tuple[Setting, ...] = ()
    by_gradient: bool = False
