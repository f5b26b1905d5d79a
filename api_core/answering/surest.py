"""Of the answers to a plain picture and to prompted ones, the surest: a prompt that misleads then costs little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..broadcast import broadcast_together
from ..errors import InvalidInput
from ..models.lvlm.model import LvlmModel
from ..models.server.model import ServerModel
from ..progress import Progress, ignore_progress
from .asking import Answer, ask, listed_pictures
from .decoding import Decoding, OnToken
from .greedy_and_sample import Greedy

SKIP_ABOVE = 0.995
"""A plain answer this sure is kept without asking again."""


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
        raise InvalidInput(
            f"{answer.model} does not say how likely its answers are, so the surer one cannot be told. Load a model on "
            "this machine, or ask a server that returns `logprobs`."
        )
    return answer.confidence


def ask_surest(
    model: LvlmModel | ServerModel,
    pictures: Tensor | Sequence[Tensor],
    prompted: Sequence[Tensor | Sequence[Tensor]],
    questions: str | Sequence[str],
    *,
    skip_above: float = SKIP_ABOVE,
    decoding: Decoding | None = None,
    on_token: OnToken | None = None,
    on_progress: Progress = ignore_progress,
    **asking: Any,
) -> list[SurestAnswer]:
    """For each case the surest of the answers to the plain picture and to those that prompt it.

    prompted: for each way of prompting, the prompted pictures of all cases. A prompted answer counts only where it is
    strictly surer than those before it, the plain one first; the prompted pictures of a case are not asked about where
    the plain answer's confidence reaches `skip_above`, 0..1. Confidence is the product of the probabilities of an
    answer's tokens, so answers have to be chosen by them: greedily. Further arguments are those of `ask`; on_token gets
    every answer as it is written.
    """
    decoding = Greedy() if decoding is None else decoding
    if not isinstance(decoding, Greedy):
        raise InvalidInput(
            f"The surer answer is told by its words' own probabilities, which {decoding.name} does not follow. Decode "
            "greedily."
        )
    if not 0 <= skip_above <= 1:
        raise InvalidInput(f"skip_above is a probability from 0 (never ask again) to 1 (always), not {skip_above}.")
    if not prompted:
        raise InvalidInput("There are no prompted pictures to choose among. Give those of at least one way.")
    lists: dict[str, list[Any]] = {"plain pictures": listed_pictures(pictures, "plain pictures")}
    names = [f"prompted pictures no. {number}" for number in range(1, len(prompted) + 1)]
    lists |= {name: listed_pictures(way, name) for name, way in zip(names, prompted, strict=True)}
    lists["questions"] = [questions] if isinstance(questions, str) else list(questions)
    plain, *ways, asked = broadcast_together(lists).values()
    count = len(plain)
    asks = 1 + len(ways)

    def answered(at: int, shown: Sequence[Tensor], cases: Sequence[int]) -> list[Answer]:
        """The answers of some cases to the pictures `shown`, as the turn `at` of all."""

        def report(done: int, total: int) -> None:
            on_progress(at * total + done, asks * total)

        def stream(case: int, text: str) -> None:
            if on_token is not None:
                on_token(cases[case], text)

        found = ask(
            model,
            [shown[case] for case in cases],
            [asked[case] for case in cases],
            decoding=decoding,
            on_token=stream,
            on_progress=report,
            **asking,
        )
        for answer in found:
            confidence_of(answer)
        return found

    told = [[answer] for answer in answered(0, plain, range(count))]
    unsure = [case for case in range(count) if confidence_of(told[case][0]) < skip_above]
    for at, way in enumerate(ways, 1):
        if unsure:
            for case, answer in zip(unsure, answered(at, way, unsure), strict=True):
                told[case].append(answer)
    on_progress(asks, asks)
    surest = []
    for case, answers in enumerate(told):
        which = max(range(len(answers)), key=lambda at: (confidence_of(answers[at]), -at))
        picture = plain[case] if which == 0 else ways[which - 1][case]
        surest.append(SurestAnswer(answers[which], which, picture, tuple(answers)))
    return surest
