"""Which words of an answer come from the picture: the tokens that the picture makes likelier.

The log-likelihood ratio of every answer token, with the picture and with a baseline in its place, as in "Where do Large
Vision-Language Models Look at when Answering Questions?" (arXiv 2503.13891). Words decide, not ids of one tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..attribution.lvlm.word_labels import find_words
from ..models.conversation.case import Reply
from ..results import require_finite
from .answer_contrast import ContrastObjective
from .answer_scores import AnswerScores

RATIO = math.e
"""How much likelier the picture has to make a token of a longer answer."""
RATIO_OF_ONE = 2.0
"""The same for an answer of a single token, such as a letter or yes."""

# Words that name nothing in a picture, however much likelier it makes them: articles, copulas, prepositions, in the
# languages that the pack's pages speak, and German. Left out is what is as often a thing, a number or an answer in one
# of them (French *car*, Portuguese *dos*, German *die*, Spanish *sur* and *si*), and, but for the English article,
# letters that may be read off a picture.
_STOP_WORDS = {
    "en": "a an and are as at be by for from in is it its of on or that the there these this those to was were with",
    "de": "das dem der des ein eine einem einen einer es im ist mit sich sind und von zu zum zur",
    "es": "al de del el ella es está están la las los que se un una unas unos",
    "fr": "au aux avec ce ces cette dans de des du elle est et il ils la le les qui que se sont un une",
    "it": "che dei del della delle di gli il la le lo nel nella un una è",
    "ja": "が の を",
    "pt": "ao da das de do em está estão há na nas os que são um uma umas uns é",
    "ru": "для есть из на он она они от по что это",
    "tr": "bir bu da de için ile ve şu",
    "zh": "了 个 是 的 着",
}
_ALL_STOP_WORDS = frozenset(word for words in _STOP_WORDS.values() for word in words.split())

_NAMES_NOTHING, _NOT_ASKED_FOR = "names nothing", "not asked for"


@dataclass(frozen=True)
class WordEvidence:
    """One word of an answer: the probability of its tokens in turn, with the picture and with the baseline.

    tokens: indices in the reply. kept: whether it is explained; why says why not.
    """

    text: str
    tokens: tuple[int, ...]
    picture: tuple[float, ...]
    baseline: tuple[float, ...]
    kept: bool = False
    why: str = ""


@dataclass(frozen=True)
class Evidence:
    """All words of an answer, and the indices of the tokens that are explained (none: it does not need the picture).

    preference: where the answer is set against another one, by how much it is likelier than that (natural logarithm),
    with the picture and with the baseline.
    """

    words: tuple[WordEvidence, ...]
    tokens: tuple[int, ...]
    preference: tuple[float, float] | None = None

    @property
    def name_nothing(self) -> bool:
        """Whether there are words that depend on the picture and name nothing in it."""
        return any(word.why == _NAMES_NOTHING for word in self.words)


def word_evidence(objective: AnswerScores, reply: Reply, chosen: Sequence[str] = ()) -> Evidence:
    """Find the words that depend on the picture, or word_evidence the `chosen` ones, which are explained in any case.

    objective: of every token of the reply (see `tokens_of_words`). Of a word, the tokens that pass are kept.
    """
    words = word_probabilities(objective, reply)
    wanted = chosen_words(reply, chosen)
    if wanted is not None:
        marked = [
            replace(word, kept=i in wanted, why="" if i in wanted else _NOT_ASKED_FOR) for i, word in enumerate(words)
        ]
        return Evidence(tuple(marked), _tokens([word.tokens for word in marked if word.kept]))
    limit = RATIO_OF_ONE if len(objective.tokens) == 1 else RATIO
    passing = [
        tuple(i for i, a, b in zip(word.tokens, word.picture, word.baseline, strict=True) if a > limit * b)
        for word in words
    ]
    judged, kept = [], []
    for word, tokens in zip(words, passing, strict=True):
        empty = len(words) > 1 and is_stop_word(word.text)
        why = "as likely without the picture" if not tokens else _NAMES_NOTHING if empty else ""
        judged.append(replace(word, kept=not why, why=why))
        kept += [] if why else [tokens]
    return Evidence(tuple(judged), _tokens(kept))


def preference_evidence(
    objective: ContrastObjective, every: AnswerScores, reply: Reply, differ: Sequence[int]
) -> Evidence:
    """The evidence of an answer that is set against another one: the objective's tokens, if the picture decides.

    every: of every token of the reply. differ: those that the other answer has not.
    """
    shown, hidden = objective.preference("picture"), objective.preference("baseline")
    single = len(objective.answer.tokens) == 1 and len(objective.other.tokens) == 1
    decides = shown - hidden > math.log(RATIO_OF_ONE if single else RATIO)
    explained, differing = set(objective.tokens), set(differ)
    words = []
    for word in word_probabilities(every, reply):
        own = not explained.isdisjoint(word.tokens)
        left_out = "the same in both answers" if differing.isdisjoint(word.tokens) else _NOT_ASKED_FOR
        why = left_out if not own else "" if decides else "as much preferred without the picture"
        words.append(replace(word, kept=own and decides, why=why))
    return Evidence(tuple(words), objective.tokens if decides else (), (shown, hidden))


def word_probabilities(objective: AnswerScores, reply: Reply) -> tuple[WordEvidence, ...]:
    """Every word of a reply with the probabilities of its tokens; none is kept yet."""
    whole = objective.pixel_weights(torch.ones(1, 2, 2))
    with torch.no_grad():
        both = torch.stack([objective.log_likelihoods(whole, towards)[0].exp() for towards in ("picture", "baseline")])
    require_finite(both, f"How likely {objective.model.name} finds the answer's words")  # not a number is no evidence
    shown, hidden = both.tolist()
    place = {token: index for index, token in enumerate(objective.tokens)}
    found = []
    for piece in reply.words:
        tokens = tuple(range(piece.first, piece.last))
        with_picture, without = (tuple(float(values[place[i]]) for i in tokens) for values in (shown, hidden))
        found.append(WordEvidence(piece.text, tokens, with_picture, without))
    return tuple(found)


def tokens_of_words(reply: Reply) -> tuple[int, ...]:
    """Every token that is part of a word of the reply."""
    return tuple(sorted({i for piece in reply.words for i in range(piece.first, piece.last)}))


def chosen_words(reply: Reply, chosen: Sequence[str]) -> set[int] | None:
    """The numbers of the words that make up the `chosen` phrases; None where none was chosen."""
    phrases = [text for text in chosen if text.strip()]
    if not phrases:
        return None
    found = [word for phrase in phrases for word in find_words(reply.words, phrase)]
    return {number for number, word in enumerate(reply.words) if word in found}


def _tokens(groups: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sorted({token for group in groups for token in group}))


def is_stop_word(word: str) -> bool:
    """Whether a word, in any case, stands for nothing that could be seen."""
    return word.casefold() in _ALL_STOP_WORDS
