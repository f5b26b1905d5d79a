"""AMBER's reading of a description: which of its nouns are in the picture, which are made up, which people make up.

Nouns are found by NLTK, and words that mean nearly the same by spaCy, both optional; a caller may bring others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ....errors import InvalidInput, MissingPackage
from ..files import first_below, json_of, text_of

SPACY_MODEL = "en_core_web_lg"
NLTK_DATA = ("punkt_tab", "averaged_perceptron_tagger_eng", "wordnet")
ALIKE = 0.8
"""Words that are more alike than this count as one."""
_INSTALL = (
    'AMBER\'s descriptions are read with nltk and spaCy: pip install "attention-prompting[amber]", then '
    f"python -m nltk.downloader {' '.join(NLTK_DATA)}, and python -m spacy download {SPACY_MODEL}. Questions of "
    "yes or no need none of it: read --split discriminative."
)


Owned = tuple[str, int]
"""A word, and the number of the one that it stands for."""


class Taggers(Protocol):
    """What finds nouns and tells how alike words are. name: what they are, for those who read the score."""

    name: str

    def nouns(self, text: str) -> Sequence[str]:
        """The nouns of a text in order, repeats and all, each in the singular."""
        ...

    def similarity(self, word: str, other: str) -> float: ...


@dataclass(frozen=True)
class WordLists:
    """AMBER's lists. associations: word -> words that stand for it. safe: words that are never held against an answer.
    digest: of both files.
    """

    associations: Mapping[str, Sequence[str]]
    safe: frozenset[str]
    digest: str
    lexicon: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        others = (word for words in self.associations.values() for word in words)
        object.__setattr__(self, "lexicon", frozenset((*self.associations, *others)))


@dataclass(frozen=True)
class NounCounts:
    """Of one description: nouns that are in AMBER's lexicon, those of them that nothing saves, how much of what is in
    the picture is named, and how much of what people make up.
    """

    nouns: int
    unsaved: int
    covered: int
    made_up: int


def read_word_lists(folder: Path) -> WordLists:
    """The lists in AMBER's own folder."""
    paths = first_below(folder, "relation.json"), first_below(folder, "safe_words.txt")
    associations = json_of(paths[0])
    if not isinstance(associations, dict) or not all(isinstance(words, list) for words in associations.values()):
        raise InvalidInput(f"{paths[0]} is not AMBER's: it must name lists of words.")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]
    return WordLists(associations, frozenset(text_of(paths[1]).split("\n")), digest)


def count_nouns(
    text: str, truth: Sequence[str], made_up: Sequence[str], lists: WordLists, taggers: Taggers
) -> NounCounts:
    """AMBER's counts of one description. truth: what is in the picture; made_up: what people make up to it.

    A noun of the lexicon is saved by being a safe word, by standing for something in the picture, or by being alike to
    something that does; the last only after it has been counted as made up where it stands for, or is alike to, that.
    """
    kept = [noun for noun in taggers.nouns(text) if noun in lists.lexicon]
    true, false = _owners(truth, lists), _owners(made_up, lists)
    covered: set[int] = set()
    told: set[int] = set()
    unsaved = 0
    for noun in kept:
        if noun in lists.safe:
            continue
        if (owner := _meant(noun, true)) is not None:
            covered.add(owner)
            continue
        told |= {owner for owner in (_meant(noun, false), _resembled(noun, false, taggers)) if owner is not None}
        if (owner := _resembled(noun, true, taggers)) is None:
            unsaved += 1
        else:
            covered.add(owner)
    return NounCounts(len(kept), unsaved, len(covered), len(told))


def _owners(words: Sequence[str], lists: WordLists) -> list[Owned]:
    """Every word that stands for one of `words`, then these themselves."""
    try:
        others = [(other, number) for number, word in enumerate(words) for other in lists.associations[word]]
    except KeyError as error:
        raise InvalidInput(
            f"AMBER's relation.json has no word {error.args[0]!r}. Is it of the same version?"
        ) from error
    return [*others, *((word, number) for number, word in enumerate(words))]


def _meant(noun: str, owners: Sequence[Owned]) -> int | None:
    return next((number for word, number in owners if word == noun), None)


def _resembled(noun: str, owners: Sequence[Owned], taggers: Taggers) -> int | None:
    return next((number for word, number in owners if taggers.similarity(noun, word) > ALIKE), None)


@cache
def installed_taggers() -> Taggers:
    """NLTK's and spaCy's. Raises MissingPackage with the lines that install them."""
    try:
        import nltk
        import spacy
        from nltk.stem import WordNetLemmatizer

        language = spacy.load(SPACY_MODEL)
        WordNetLemmatizer().lemmatize("dogs")
        nltk.pos_tag(nltk.word_tokenize("A dog."))
    except (ImportError, OSError, LookupError) as error:  # OSError: spaCy's model; LookupError: NLTK's data
        raise MissingPackage(_INSTALL) from error
    return _NltkAndSpacy(nltk, WordNetLemmatizer(), language, f"nltk {nltk.__version__}, spaCy {spacy.__version__}")


class _NltkAndSpacy:
    def __init__(self, nltk: Any, lemmatiser: Any, language: Any, versions: str) -> None:
        self.name = f"{versions}, {SPACY_MODEL} {language.meta['version']}"
        self._nltk = nltk
        self._lemmatiser = lemmatiser
        self._read = cache(language)
        self.nouns = cache(self._nouns)  # several rules read the same descriptions
        self._similarity = cache(lambda word, other: float(self._read(word).similarity(self._read(other))))

    def _nouns(self, text: str) -> Sequence[str]:
        tagged = self._nltk.pos_tag(self._nltk.word_tokenize(text))
        return [self._lemmatiser.lemmatize(word) for word, kind in tagged if kind.startswith("NN")]

    def similarity(self, word: str, other: str) -> float:
        return self._similarity(word, other)
