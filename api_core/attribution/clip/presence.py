"""Is what is asked for in the picture at all? A map shows where it is most likely, and has a peak in any case.

Before it is scaled, a map's numbers still say how strongly the picture answers to the text. Of each text one number is
taken: max - min over the cells of a map of the patches' own tokens, or the greatest contribution to the readout. How
large it is, depends on the picture and the model; so it is compared with the same number of things that nobody asked
for (those that the text names left out), most of which are not there either:

    presence = (number - median of theirs) / median of their distances from that median

A thing that shares only some of its words with the text stays: where a red heart and a blue star are there and "a red
star" is asked for, it is other red things and other stars that tell. Without them 2.7 to 3.8 points of AUROC are
lost against such absent things (development scenes), and nothing is gained.

No paper: measured in `benchmark presence`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from ...autograd import frozen, without_autocast
from ...models.catalog import things_known
from ...models.clip import ClipModel

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})
# Fewer say nothing of what is usual: then all count, though the text names them.
_LEAST_APART = 8
# Numbers that differ by less than a few float32 roundings of the largest are one number.
_NOISE = 1e-6


class Telling(NamedTuple):
    """What a method's map says of presence. tokens: [n, e], which texts are compared with. spread: whether max - min
    counts, or the greatest value."""

    tokens: Tensor
    spread: bool


@dataclass(frozen=True)
class OtherThings:
    """Things that nobody asked for. words: of each. features: [K, e], unit norm."""

    words: tuple[frozenset[str], ...]
    features: Tensor

    @classmethod
    def known_to(cls, model: ClipModel) -> "OtherThings":
        """Those that are common among what the model knows; their text is encoded once."""
        texts, words = _texts_and_words(things_known(model.name))
        return cls(words, model.encode_fixed(texts))

    def presence(
        self, texts: Sequence[str], features: Tensor, seen: Sequence[tuple[Telling, Tensor]]
    ) -> tuple[float, ...]:
        """Of each of the texts, whose features are [T, e], in the views that were seen, each with its valid cells."""
        numbers = _numbers(torch.cat([features, self.features]), seen)
        own, others = numbers[: len(texts)], numbers[len(texts) :]
        every = _middle(others)
        noise = _NOISE * max(map(abs, numbers))
        scores = []
        for text, number in zip(texts, own, strict=True):
            said = _words(text)
            apart = [other for words, other in zip(self.words, others, strict=True) if not words <= said]
            center, spread = _middle(apart) if _LEAST_APART <= len(apart) < len(others) else every
            # Where nothing differs, as in a map without any content, nothing stands out.
            scores.append((number - center) / spread if spread > noise else 0.0)
        return tuple(scores)


@cache
def _texts_and_words(things: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[frozenset[str], ...]]:
    texts = (f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}" for thing in things)
    return tuple(texts), tuple(map(_words, things))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold())) - _ARTICLES


def _numbers(features: Tensor, seen: Sequence[tuple[Telling, Tensor]]) -> list[float]:
    """The one number of each of the texts [T, e], over the valid cells of all views."""
    with frozen(), without_autocast():
        tokens = torch.cat([tokens if valid.all() else tokens[valid.flatten()] for (tokens, _), valid in seen])
        answers = features @ tokens.T
        greatest = answers.amax(1)  # with amin far quicker than aminmax
        numbers: list[float] = (greatest - answers.amin(1) if seen[0][0].spread else greatest).tolist()
    return numbers


def _middle(numbers: Sequence[float]) -> tuple[float, float]:
    """Their median, and the median of their distances from it."""
    center = median(numbers)
    return center, median([abs(number - center) for number in numbers])
