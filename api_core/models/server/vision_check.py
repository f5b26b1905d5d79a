"""Find out whether a server's model looks at pictures: a text-only one often answers from the text and says nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from ...errors import ServerFailed, quoted
from ...progress import Progress, ignore_progress
from ..conversation.case import Case
from .model import ServerModel

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.08, 0.08),
    "green": (0.06, 0.62, 0.12),
    "blue": (0.08, 0.16, 0.86),
}
QUESTION = "What color is this picture? Answer with one word."
_SIDE = 112
_LONGEST_ANSWER = 400  # tokens; a thinking model thinks even about this


@dataclass(frozen=True)
class Probe:
    """What a model made of plain pictures of one colour each.

    sees: True: it named every colour; False: it takes no pictures, or says the same whatever it is shown; None: it says
    different things, but not the colours, so it may see and be a poor judge of colours, or it may guess.
    """

    sees: bool | None
    answers: dict[str, str]
    reason: str


def probe(model: ServerModel, *, on_progress: Progress = ignore_progress) -> Probe:
    """Show the model three plain pictures, one at a time, and ask for their colour. Costs three short answers.

    Raises ServerFailed when the server cannot be asked at all.
    """
    plain = [torch.tensor(colour, dtype=torch.float32).expand(_SIDE, _SIDE, 3).clone() for colour in COLOURS.values()]
    cases = [Case((picture,), QUESTION) for picture in plain]
    try:
        replies = model.generate(
            cases, max_new_tokens=_LONGEST_ANSWER, settings={"temperature": 0.0}, on_progress=on_progress
        )
    except ServerFailed as error:
        if error.kind != "pictures":
            raise
        return Probe(False, {}, f"{model.name} refuses pictures. {error}")
    answers = {colour: reply.reply.text for colour, reply in zip(COLOURS, replies, strict=True)}
    words = {colour: re.findall(r"[a-z]+", answer.lower()) for colour, answer in answers.items()}
    if all(COLOURS.keys() & words[colour] == {colour} for colour in COLOURS):  # it names that colour and no other
        return Probe(True, answers, f"{model.name} sees pictures: it named {', '.join(COLOURS)}.")
    said = ", ".join(f"{quoted(answer)} to {colour}" for colour, answer in answers.items())
    if not all(answers.values()):
        return Probe(None, answers, f"{model.name} gave no answer in {_LONGEST_ANSWER} tokens; it said {said}.")
    if len(set(map(tuple, words.values()))) == 1:
        return Probe(False, answers, f"{model.name} does not look at the picture: it said {said}.")
    return Probe(None, answers, f"{model.name} may not see: it said {said}.")
