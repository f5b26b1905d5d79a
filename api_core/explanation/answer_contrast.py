"""Why this answer rather than that one: what makes the one likelier than the other where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import torch
from torch import Tensor

from ..errors import InvalidInput, quoted
from ..models.conversation.case import Reply
from ..models.vision_language import VisionLanguageModel
from .answer_scores import AnswerScores
from .objective import Noise, Towards


@dataclass(frozen=True)
class ContrastObjective:
    """An answer against another one (see `Objective`): each is read behind the prompt by itself.

    The score is log p(answer's tokens) - log p(other's tokens); the probability is that of the answer if there were
    only these two, the sigmoid of the score.
    """

    answer: AnswerScores
    other: AnswerScores

    @property
    def tokens(self) -> tuple[int, ...]:
        """Of the answer."""
        return self.answer.tokens

    @property
    def parts(self) -> tuple[tuple[float, AnswerScores], ...]:
        """The answers that the score is made of, and their signs."""
        return ((1.0, self.answer), (-1.0, self.other))

    def against(self, baseline: Tensor) -> ContrastObjective:
        """The same answers with another baseline."""
        return ContrastObjective(self.answer.against(baseline), self.other.against(baseline))

    @property
    def edge_image(self) -> Tensor:
        return self.answer.edge_image

    def pixel_weights(self, masks: Tensor) -> Tensor:
        return self.answer.pixel_weights(masks)

    def score(self, weights: Tensor, towards: Towards, noise: Noise | None = None) -> Tensor:
        pixels = self.answer.blends.blend(weights, towards, noise)
        one, other = (part.read(pixels, len(weights)).sum(1) for part in (self.answer, self.other))
        return (one - other).to(weights.device)

    def probability(self, weights: Tensor, towards: Towards) -> Tensor:
        return self.score(weights, towards).sigmoid()

    def preference(self, towards: Towards) -> float:
        """The score with the whole picture, or with the whole baseline."""
        with torch.no_grad():
            return float(self.score(self.pixel_weights(torch.ones(1, 2, 2)), towards)[0])


AnyObjective = AnswerScores | ContrastObjective


def other_reply(model: VisionLanguageModel, reply: Reply, text: str) -> Reply:
    """The answer that was not given, behind the same thinking where there was some."""
    begin = min((word.first for word in reply.words), default=0) if reply.thinking else 0
    return model.reply_of((*reply.token_ids[:begin], *model.encode_answer(text.strip())))


def differing(reply: Reply, other: Reply) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens of two answers that are not the same: indices in each, in order.

    Where one answer is the beginning of the other, it is set against the rest of it by the token that ends it.
    """
    one, two = list(reply.token_ids), list(other.token_ids)
    if reply.text.strip() == other.text.strip():
        raise InvalidInput(
            f"The answer is {quoted(reply.text)}, and so is what it should be set against. Give instead_of another "
            "answer."
        )
    first: list[int] = []
    second: list[int] = []
    for what, a, b, c, d in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if what != "equal":
            first += range(a, b)
            second += range(c, d)
    # The next token of the one that has none of its own, where they part.
    return tuple(first or [_parting(one, two)]), tuple(second or [_parting(two, one)])


def _parting(one: Sequence[int], two: Sequence[int]) -> int:
    shared = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    return min(shared, len(one) - 1)
