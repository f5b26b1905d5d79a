"""What a way of explaining an answer is to the driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..models.lvlm.case import Case, Reply
from ..models.lvlm.model import LvlmModel
from ..progress import Progress
from .lvlm_subject import AnswerSubject


@dataclass(frozen=True)
class Explaining:
    """One answer to explain. subject: of its chosen tokens. baseline: [H, W, 3]. chunk: blends that fit at once."""

    model: LvlmModel
    case: Case
    reply: Reply
    subject: AnswerSubject
    baseline: Tensor
    seed: int
    chunk: int
    on_progress: Progress


@dataclass(frozen=True)
class Found:
    """importance: float32 [rows, columns], its corner cells on the picture's corners. evaluations: pictures that the
    model was shown for it, gradients: how many of them with a backward pass."""

    importance: Tensor
    evaluations: int = 0
    gradients: int = 0


@dataclass(frozen=True)
class ExplanationMethod:
    """name: what callers choose it by. describes: one sentence for people."""

    name: str
    find: Callable[[Explaining], Found]
    describes: str
