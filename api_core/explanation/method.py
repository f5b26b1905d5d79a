"""What a way of explaining an answer is to the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..models.conversation.case import Case, Reply
from ..models.lvlm.model import LvlmModel
from ..progress import Progress
from ..settings import Number, Setting
from .contrast import ContrastSubject
from .lvlm_subject import AnswerSubject


@dataclass(frozen=True)
class Explaining:
    """One answer to explain.

    subject: of its chosen tokens. other: what it is set against, if anything. baseline: [H, W, 3]. settings: every one
    of the method's, by name. chunk: blends that fit at once. on_preview: gets the importance [rows, columns] so far.
    """

    model: LvlmModel
    case: Case
    reply: Reply
    subject: AnswerSubject | ContrastSubject
    other: Reply | None
    baseline: Tensor
    settings: Mapping[str, Number]
    seed: int
    chunk: int
    on_progress: Progress
    on_preview: Callable[[Tensor], None]


@dataclass(frozen=True)
class Found:
    """importance: float32 [rows, columns], its corner cells on the picture's corners. evaluations: pictures that the
    model was shown for it, gradients: how many of them with a backward pass."""

    importance: Tensor
    evaluations: int = 0
    gradients: int = 0


@dataclass(frozen=True)
class ExplanationMethod:
    """name: what callers choose it by. describes: one sentence for people. settings: what can be set, with ranges."""

    name: str
    find: Callable[[Explaining], Found]
    describes: str
    settings: tuple[Setting, ...] = ()
