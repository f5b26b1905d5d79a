"""Which option does an answer choose? As official programs read it, and as it is read here.

Every rule gives a capital letter, or "" for an answer that chooses none that it can see.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from ...scorers.answers import contains, is_exact

LETTER_PLEASE = "\nAnswer with the option's letter from the given choices directly."

_ALONE = re.compile(r"\W*([A-Za-z])\W*")
_IN_FRONT = re.compile(r"\W*([A-Za-z])[.):]")
# A small letter has to end there, or "the answer is a dog" would choose A.
_SAID = re.compile(r"\b(?i:answer|option|choice)(?i: is)?:? *\(?(?:([A-Za-z])(?=[).:,]|\s*$)|([A-Z])\b)")
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
# A capital among the words; "A" and "I" are words themselves.
_CAPITAL = re.compile(r"(?<![\w'])([B-HJ-Z])(?![\w'])")


def lettered(options: Sequence[str]) -> str:
    """Options as lines "A. ...", each after a line feed."""
    return "".join(f"\n{letter}. {text}" for letter, text in zip(ascii_uppercase, options, strict=False))


def mmstar(text: str, options: int) -> str:
    """MMStar's: the first character, or what follows "(", "option " or "the answer is " at the start, in any case."""
    said = text.lower().strip().replace("\n", " ")
    known = ascii_uppercase[:options].lower()
    for start in ("", "(", "option ", "the answer is "):
        rest = said[len(start) :]
        if said.startswith(start) and rest and rest[0] in known:
            return rest[0].upper()
    return ""


def cambrian_mmvp(text: str, options: Sequence[str]) -> str:
    """Cambrian's for MMVP: what is said has to be a letter, in brackets or not, or an option but for case."""
    said = _said_by(text).rstrip(".:,").lstrip("(").rstrip(")")
    known = ascii_uppercase[: len(options)]
    if said in list(known.lower()):
        return said.upper()
    return next((letter for letter, option in zip(known, options, strict=True) if option.lower() == said), "")


def cambrian(text: str, options: int) -> str:
    """Cambrian's for its CV-Bench: the first letter of what is said, in brackets or not ("a dog" is an A)."""
    said = _said_by(text).rstrip(".").lstrip("(").rstrip(")")[:1].upper()
    return said if said in list(ascii_uppercase[:options]) else ""


def _said_by(text: str) -> str:
    """In small letters, what stands behind "answer is" or "answer:", if that is there."""
    said = text.lower().strip()
    for keyword in ("answer is", "answer is:", "answer:"):
        said = said.split(keyword)[-1]
    return said.strip()


def ours(text: str, options: Sequence[str]) -> str:
    """A letter alone or in front, else the last one that is said to be the answer, else the only one in brackets, else
    the only option whose words are there, else the only capital that is none of the words "A" and "I"."""
    known = ascii_uppercase[: len(options)]
    if found := _ALONE.fullmatch(text) or _IN_FRONT.match(text):
        return _one_of([found[1]], known)
    named_last = [small or large for small, large in _SAID.findall(text)[-1:]]
    for said in (named_last, _BRACKETED.findall(text)):
        if letters := [letter for letter in said if letter.upper() in known]:
            return _one_of(letters, known)
    for suits in (is_exact, contains):
        named = [letter for letter, option in zip(known, options, strict=True) if option and suits(text, [option])]
        if len(named) == 1:
            return named[0]
    return _one_of(_CAPITAL.findall(text), known)


def _one_of(letters: Sequence[str], known: str) -> str:
    """The letter that all of some are, if it is a known one."""
    found = {letter.upper() for letter in letters}
    return found.pop() if len(found) == 1 and found <= set(known) else ""
