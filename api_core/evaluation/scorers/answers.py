"""Is an answer right? Free text against the accepted answers, both normalised first.

Normalising follows what the VQA challenge does (Antol et al., arXiv 1505.00468): case, punctuation and articles do not
count, and a number is the same in words and in digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from ...errors import require_one_of

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+(?:['’\-][^\W_]+)*")  # noqa: RUF001 - the typographic apostrophe is meant
_YES_NO = frozenset({"yes", "no"})


def normalise(text: str) -> str:
    """Lower case, words only (no punctuation, no article), numbers up to twelve in digits."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(_DIGITS.get(word, word) for word in words if word not in _ARTICLES)


def is_exact(answer: str, accepted: Sequence[str]) -> bool:
    """The whole answer is one of the accepted ones."""
    return normalise(answer) in {normalise(text) for text in accepted}


def contains(answer: str, accepted: Sequence[str]) -> bool:
    """An accepted answer stands in the answer, word by word ("red" does not stand in "bored")."""
    said = f" {normalise(answer)} "
    return any(f" {wanted} " in said for wanted in map(normalise, accepted) if wanted)


def is_yes_no(answer: str, accepted: Sequence[str]) -> bool:
    """The first "yes" or "no" in the answer is the accepted one."""
    said = next((word for word in normalise(answer).split() if word in _YES_NO), None)
    return said is not None and said in {normalise(text) for text in accepted}


def suits(answer: str, accepted: Sequence[str]) -> bool:
    """Yes-no where only yes or no is accepted, else `contains`."""
    return (is_yes_no if {normalise(text) for text in accepted} <= _YES_NO else contains)(answer, accepted)


SCORERS: dict[str, Callable[[str, Sequence[str]], bool]] = {
    "auto": suits,
    "exact": is_exact,
    "contains": contains,
    "yes-no": is_yes_no,
}


def is_right(answer: str, accepted: Sequence[str], scorer: str = "auto") -> bool | None:
    """Whether `answer` counts as one of `accepted`; None where there is nothing to judge it by."""
    require_one_of(scorer, SCORERS, "scorer")
    return SCORERS[scorer](answer, accepted) if accepted else None
