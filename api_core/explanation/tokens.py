"""Which words of an answer come from the picture: the tokens that the picture makes likelier.

The log-likelihood ratio of every answer token, with the picture and with a baseline in its place, as in "Where do Large
Vision-Language Models Look at when Answering Questions?" (arXiv 2503.13891). Words decide, not ids of one tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..attribution.lvlm_words import find_words
from ..models.lvlm.case import Reply
from .lvlm_subject import AnswerSubject

RATIO = math.e
"""How much likelier the picture has to make a token of a longer answer."""
RATIO_OF_ONE = 2.0
"""The same for an answer of a single token, such as a letter or yes."""

# They are likelier after the right picture too, but they name nothing in it.
_FUNCTION_WORDS = frozenset(
    (
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "and",
        "or",
        "of",
        "in",
        "on",
        "at",
        "to",
        "with",
        "for",
        "from",
        "by",
        "as",
        "is",
        "are",
        "was",
        "were",
        "be",
        "it",
        "its",
        "there",
    )
)


@dataclass(frozen=True)
class WordEvidence:
    """One word of an answer: the probability of its tokens in turn, with the picture and with the baseline.

    tokens: indices in the reply. ratio: how many times likelier its strongest token is with the picture. kept: whether
    it is explained; why says why not.
    """

    text: str
    tokens: tuple[int, ...]
    picture: tuple[float, ...]
    baseline: tuple[float, ...]
    kept: bool = False
    why: str = ""

    @property
    def ratio(self) -> float:
        return max(a / max(b, 1e-30) for a, b in zip(self.picture, self.baseline, strict=True))


@dataclass(frozen=True)
class Evidence:
    """All words of an answer, and the indices of the tokens that are explained (none: it does not need the picture)."""

    words: tuple[WordEvidence, ...]
    tokens: tuple[int, ...]


def weigh(subject: AnswerSubject, reply: Reply, chosen: Sequence[str] = ()) -> Evidence:
    """Find the words that depend on the picture, or weigh the `chosen` ones, which are explained in any case.

    subject: of every token of the reply (see `tokens_of_words`). Of a word, the tokens that pass are kept.
    """
    whole = torch.ones(1, 2, 2)
    with torch.no_grad():
        weights = subject.lift(whole)
        shown = subject.log_likelihoods(weights, "picture")[0].exp()
        hidden = subject.log_likelihoods(weights, "baseline")[0].exp()
    place = {token: index for index, token in enumerate(subject.tokens)}
    limit = RATIO_OF_ONE if len(subject.tokens) == 1 else RATIO
    wanted = _chosen_words(reply, chosen)
    words, tokens = [], []
    for number, piece in enumerate(reply.words):
        indices = tuple(range(piece.first, piece.last))
        picture = tuple(float(shown[place[i]]) for i in indices)
        baseline = tuple(float(hidden[place[i]]) for i in indices)
        passing = [i for i, a, b in zip(indices, picture, baseline, strict=True) if a > limit * b]
        if wanted is not None:
            kept, why = (list(indices), "") if number in wanted else ([], "not asked for")
        elif not passing:
            kept, why = [], "as likely without the picture"
        elif len(reply.words) > 1 and piece.text.casefold().strip(".,;:!?") in _FUNCTION_WORDS:
            kept, why = [], "names nothing"
        else:
            kept, why = passing, ""
        words.append(WordEvidence(piece.text, indices, picture, baseline, bool(kept), why))
        tokens += kept
    return Evidence(tuple(words), tuple(sorted(set(tokens))))


def tokens_of_words(reply: Reply) -> tuple[int, ...]:
    """Every token that is part of a word of the reply."""
    return tuple(sorted({i for piece in reply.words for i in range(piece.first, piece.last)}))


def _chosen_words(reply: Reply, chosen: Sequence[str]) -> set[int] | None:
    phrases = [text for text in chosen if text.strip()]
    if not phrases:
        return None
    found = [word for phrase in phrases for word in find_words(reply.words, phrase)]
    return {number for number, word in enumerate(reply.words) if word in found}
