"""Of the answers to a plain picture and to prompted ones, the surest: a prompt that misleads then costs little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..broadcast import broadcast_together
from ..errors import InvalidInput
from ..models.server.model import ServerModel
from ..models.vision_language import VisionLanguageModel
from ..progress import Progress, ignore_progress
from .asking import Answer, ask, listed_pictures, listed_texts
from .decoding import Decoding, OnToken
from .greedy_and_sample import Greedy
from .keeping import SKIP_ABOVE, require_comparable

_ROUNDING = 1e-5
"""By this share the same answer to the same picture may differ when it is asked in another batch."""

_ENOUGH = 400  # tokens; a thinking model thinks even about a colour

Way = Tensor | Sequence[Tensor] | Callable[[Sequence[int]], Sequence[Tensor]]
"""The pictures of all cases prompted in one way, or what prompts those of the cases that it gets the numbers of."""


@dataclass(frozen=True)
class SurestAnswer:
    """The surest answer to one question.

    which: 0 of the plain picture, 1 and on of the prompted ones. picture: the one that it was given to. answers: of
    each picture that was asked about, the plain one first; where the plain answer was sure enough, that alone.
    """

    answer: Answer
    which: int
    picture: Tensor = field(compare=False, repr=False)
    answers: tuple[Answer, ...]

    @property
    def confidence(self) -> float:
        """How likely the model held the answer to be, 0..1."""
        return confidence_of(self.answer)


def confidence_of(answer: Answer) -> float:
    """An answer's confidence; InvalidInput of a model that did not tell."""
    if answer.confidence is None:
        why = f" (it {answer.untold.rstrip('.')})" if answer.untold else ""
        raise InvalidInput(
            f"{answer.model} does not say how likely its answers are{why}, so the surer one cannot be told: ask a "
            "server and model that give `logprobs`, or load a model on this machine."
        )
    return answer.confidence


def require_confidence(model: ServerModel) -> None:
    """InvalidInput for a server that does not say how likely its answers are: before many questions, with one."""
    grey = torch.full((64, 64, 3), 0.5)
    (answer,) = ask(model, [grey], "Which colour is this? One word.", max_new_tokens=_ENOUGH, confidence=True)
    confidence_of(answer)


def ask_surest(
    model: VisionLanguageModel | ServerModel,
    pictures: Tensor | Sequence[Tensor],
    prompted: Sequence[Way],
    questions: str | Sequence[str],
    *,
    previous_answers: str | Sequence[str] | None = None,
    hints: str | Sequence[str] | None = None,
    more_pictures: Sequence[Tensor | Sequence[Tensor]] = (),
    skip_above: float = SKIP_ABOVE,
    decoding: Decoding | None = None,
    on_token: OnToken | None = None,
    on_progress: Progress = ignore_progress,
    **asking: Any,
) -> list[SurestAnswer]:
    """For each case the surest of the answers to the plain picture and to those that prompt it.

    prompted: for each way of prompting, the prompted pictures of all cases, or a function that gets the numbers of some
    cases and gives theirs, for those alone that are asked about again. A prompted answer counts only where it is surer
    than those before it, the plain one first, by more than rounding; the prompted pictures of a case are not asked
    about where the plain answer's confidence reaches `skip_above`, 0..1. Confidence is the product of the probabilities
    of an answer's tokens, so answers have to be chosen by them: greedily. A server has to give them, or InvalidInput is
    raised. Further arguments are those of `ask`; on_token gets every answer as it is written.
    """
    decoding = Greedy() if decoding is None else decoding
    require_comparable(decoding, skip_above)
    if not prompted:
        raise InvalidInput("There are no prompted pictures to choose among. Give those of at least one way.")
    names = [f"prompted pictures no. {number}" for number in range(1, len(prompted) + 1)]
    made = {name: way for name, way in zip(names, prompted, strict=True) if callable(way)}
    given = {name: way for name, way in zip(names, prompted, strict=True) if not callable(way)}
    further = {f"further pictures no. {number}": slot for number, slot in enumerate(more_pictures, 1)}
    shown = {"plain pictures": pictures, **given, **further}
    lists = broadcast_together(
        {
            **{name: listed_pictures(some, name) for name, some in shown.items()},
            "questions": listed_texts(questions),
            "previous answers": listed_texts(previous_answers or ""),
            "hints": listed_texts(hints or ""),
        }
    )
    plain = lists["plain pictures"]
    asks = 1 + len(names)

    def answered(at: int, seen: Sequence[Tensor], cases: Sequence[int]) -> list[Answer]:
        """The answers of some cases to the pictures `seen`, as the turn `at` of all."""

        def report(done: int, total: int) -> None:
            on_progress(at * total + done, asks * total)

        def stream(case: int, text: str) -> None:
            if on_token is not None:
                on_token(cases[case], text)

        return ask(
            model,
            seen,
            _of(lists["questions"], cases),
            previous_answers=_of(lists["previous answers"], cases),
            hints=_of(lists["hints"], cases),
            more_pictures=[_of(lists[name], cases) for name in further],
            decoding=decoding,
            confidence=True,
            on_token=stream,
            on_progress=report,
            **asking,
        )

    pictures_told = [[picture] for picture in plain]

    def asked(at: int, cases: Sequence[int]) -> list[Answer]:
        if not at:
            return answered(at, plain, cases)
        name = names[at - 1]
        seen = listed_pictures(made[name](cases), name) if name in made else _of(lists[name], cases)
        for case, picture in zip(cases, seen, strict=True):
            pictures_told[case].append(picture)
        return answered(at, seen, cases)

    told = surest_of(asked, len(plain), len(names), skip_above)
    on_progress(asks, asks)
    return [
        SurestAnswer(answers[which], which, seen[which], answers)
        for (which, answers), seen in zip(told, pictures_told, strict=True)
    ]


def surest_of(
    asked: Callable[[int, Sequence[int]], Sequence[Answer]], count: int, ways: int, skip_above: float
) -> list[tuple[int, tuple[Answer, ...]]]:
    """For each of `count` cases, which of its answers is the surest, and all of them, the plain one first.

    asked: gets the number of a way of prompting, 0 for the plain picture, and those of some cases; gives their answers.
    """

    def sure(at: int, cases: Sequence[int]) -> list[Answer]:
        answers = list(asked(at, cases))
        for answer in answers:
            confidence_of(answer)
        return answers

    told = [[answer] for answer in sure(0, range(count))]
    unsure = [case for case in range(count) if confidence_of(told[case][0]) < skip_above]
    for at in range(1, ways + 1 if unsure else 1):
        for case, answer in zip(unsure, sure(at, unsure), strict=True):
            told[case].append(answer)
    return [(_surest(answers), tuple(answers)) for answers in told]


def _surest(answers: Sequence[Answer]) -> int:
    which = 0
    for at, answer in enumerate(answers):
        if confidence_of(answer) > confidence_of(answers[which]) * (1 + _ROUNDING):
            which = at
    return which


def _of(values: Sequence[Any], cases: Sequence[int]) -> list[Any]:
    return [values[case] for case in cases]
