"""From what a caller asks to the texts that are encoded: one query for each picture, and the words of a query."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...broadcast import broadcast_texts
from ...errors import InvalidInput
from ...results import Label

_WORD = re.compile(r"\w+(?:['’\-]\w+)*")  # noqa: RUF001 - the typographic apostrophe is meant


@dataclass(frozen=True)
class Query:
    """One question: what its maps are called, and the text that is encoded for each of them, in the same order."""

    labels: tuple[Label, ...]
    texts: tuple[str, ...]


def queries_of(queries: str | Sequence[str], pictures: int) -> list[str]:
    """One query for each picture, none of them blank."""
    for query in [queries] if isinstance(queries, str) or queries is None else queries:
        if not isinstance(query, str) or not query.strip():
            raise InvalidInput(f"A query must say what to look for; {query!r} is empty or no text.")
    return broadcast_texts(queries, pictures, "queries")


def read_query(query: str, words: bool) -> Query:
    """A query's labels and texts: the whole, and with `words` each of its different words when it has several."""
    parts = _different_words(query) if words else []
    parts = parts if len(parts) > 1 else []
    labels = (Label(query, "whole"), *(Label(word, "query word") for word in parts))
    return Query(labels, (query, *parts))


def _different_words(query: str) -> list[str]:
    found: dict[str, str] = {}
    for word in _WORD.findall(query):
        found.setdefault(word.casefold(), word)
    return list(found.values())
