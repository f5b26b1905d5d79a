"""How MMMU reads an answer (Yue et al., arXiv 2311.16502): a letter of the options, or the end of an open answer.

A letter that cannot be read is drawn by lot there, from one generator for all questions, so that a score depends on the
order in which they are asked; `read_letter` gives None instead, and whoever counts decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_END_MARKS = ",.!?;:'"
_TEXT_FROM_WORDS = 6
"""An answer of so many words may also name its option by the option's text."""

_KEYS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
"""What an open answer is looked for behind; in its last line also behind an equals sign."""

_NUMBERS = (
    r"-?\b\d{1,3}(?:,\d{3})+\b",  # 1,000
    r"-?\d+(?:\.\d+)?[eE][+-]?\d+",  # 1.5e3
    r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",  # 1.5 and 15
)

Value = str | float
"""What is compared: a text in lower case, or a number of two decimal places."""


def read_letter(answer: str, options: Mapping[str, str]) -> str | None:
    """The option that an answer names, by its letter ("(B)", or else " B ") or by its text; of several, the last named.

    options: letter -> text. None: it names none.
    """
    for mark in _END_MARKS:  # each once, in this order: of "B,." the comma stays
        answer = answer.strip(mark)
    answer = f" {answer} "
    for pattern in ("({})", " {} "):
        places = {letter: answer.rfind(pattern.format(letter)) for letter in options}
        if any(place >= 0 for place in places.values()):
            return max(places, key=places.__getitem__)
    if len(answer.split()) < _TEXT_FROM_WORDS:
        return None
    said = answer.lower()
    places = {letter: said.rfind(text.lower()) for letter, text in options.items() if text.lower() in said}
    return max(places, key=places.__getitem__) if places else None


def is_open_right(answer: str, truths: Sequence[str]) -> bool:
    """Whether an open answer holds one of the truths: as a text inside one of its ends, or as the same number."""
    wanted = [value for truth in truths for value in _values(truth)]
    texts = [value for value in wanted if isinstance(value, str)]
    return any(
        any(text in said for text in texts) if isinstance(said, str) else said in wanted for said in read_open(answer)
    )


def read_open(answer: str) -> list[Value]:
    """What an open answer may be taken to say: the ends of its lines behind a key word, and the numbers in them."""
    ends = _ends(answer)
    numbers = [found for end in ends for pattern in _NUMBERS for found in re.findall(pattern, end)]
    return [value for text in (*ends, *numbers) for value in _values(text)]


def _ends(answer: str) -> list[str]:
    """Of every line the shortest text behind a key word; the whole answer where no line has one."""
    whole = answer.strip().strip(".").lower()
    *others, last = whole.split("\n")
    found = []
    for line, keys in [*((line, _KEYS) for line in others), (last, (*_KEYS, "="))]:
        shortest = ""
        for tail in (line.split(key)[-1].strip() for key in keys if key in line):
            if not shortest or len(tail) < len(shortest):
                shortest = tail
        if shortest and shortest not in tuple(_END_MARKS):
            found.append(shortest)
    return found or [whole]


def _values(text: str) -> list[Value]:
    """A number where the text is one, commas left out; else the text, a single sign beside a blank on either side."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
    return [f" {text}", f"{text} "] if len(text) == 1 else [text]
