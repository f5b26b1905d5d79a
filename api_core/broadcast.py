"""One of something for all cases, or one for each of them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from .errors import InvalidInput

T = TypeVar("T")


def broadcast(values: Sequence[T], count: int, what: str) -> list[T]:
    """`count` values: those given, or the only one again and again. what: they are called in the error."""
    if len(values) not in (1, count):
        raise InvalidInput(f"{len(values)} {what} for {count} pictures: give one for all of them, or one for each.")
    return list(values) * (count if len(values) == 1 else 1)


def broadcast_texts(texts: str | T | Sequence[str | T], count: int, what: str) -> list[str | T]:
    """The same of texts (or None, or what else is no list), of which one alone is for all."""
    several = isinstance(texts, Sequence) and not isinstance(texts, str)
    return broadcast(cast(Sequence[str | T], texts if several else [texts]), count, what)


def broadcast_words(words: Sequence[str] | Sequence[Sequence[str]], count: int, what: str) -> list[list[str]]:
    """The same of lists of words: one list is for all, a list of lists has one for each. Blank words are left out."""
    texts = [words] if isinstance(words, str) else list(words)
    shared = all(isinstance(word, str) for word in texts)
    lists = cast(list[Sequence[str]], [texts] if shared else texts)
    return [[word.strip() for word in one if word.strip()] for one in broadcast(lists, count, what)]


def broadcast_together(lists: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Lists by name, each brought to the length of the longest: it has that already, or one entry that serves all."""
    counts = {name: len(values) for name, values in lists.items()}
    count = max(counts.values())
    if 0 in counts.values() or not {*counts.values()} <= {1, count}:
        listed = ", ".join(f"{found} {name}" for name, found in counts.items())
        raise InvalidInput(
            f"These do not go together, case by case: {listed}. Give one of each for every case, or one for all."
        )
    return {name: broadcast(values, count, name) for name, values in lists.items()}
