"""Where answers to one question part: the words of each that the first answer has not, or that others leave out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher

from ..errors import InvalidInput

# Scripts that put no blanks between words are compared sign by sign. Marks that belong to a letter (accents written
# apart, the vowels of India's scripts) are no letters to `re`.
_SIGN = r"[\u0e00-\u0eff\u3040-\u9fff]"
_MARK = r"[\u0300-\u036f\u0900-\u0963\u0966-\u0dff]"
_WORD = re.compile(rf"{_SIGN}|(?:(?!{_SIGN})(?:\w|{_MARK}))+")


@dataclass(frozen=True)
class Piece:
    """A stretch of an answer."""

    text: str
    differs: bool


@dataclass(frozen=True)
class Difference:
    """Answers in pieces; joined, the pieces of each are the answer again."""

    answers: tuple[tuple[Piece, ...], ...]

    @property
    def same(self) -> bool:
        """Whether no word differs."""
        return not any(piece.differs for pieces in self.answers for piece in pieces)

    def text(self, names: Sequence[str]) -> str:
        """A paragraph for each answer under its name, with [brackets] around what differs."""
        marked = ("".join(f"[{piece.text}]" if piece.differs else piece.text for piece in a) for a in self.answers)
        lines = [f"{name}: {answer}" for name, answer in zip(names, marked, strict=True)]
        return "\n\n".join(["The answers are the same.", *lines] if self.same else lines)


def difference(answers: Sequence[str]) -> Difference:
    """Compare answers with the first, word by word; case and punctuation do not count.

    Marked are the words of a later answer that have no counterpart in the first, and the words of the first that at
    least one later answer leaves out. Neighbouring words that differ are one piece.
    """
    if len(answers) < 2:
        raise InvalidInput(f"{len(answers)} answers have nothing to be compared with. Give two or more.")
    words = [list(_WORD.finditer(answer)) for answer in answers]
    keys = [[word.group().casefold() for word in found] for found in words]
    lost: set[int] = set()
    changed: list[set[int]] = [lost]
    for other in keys[1:]:
        here, there = _unmatched(keys[0], other)
        lost |= here
        changed.append(there)
    return Difference(tuple(_pieces(*one) for one in zip(answers, words, changed, strict=True)))


class _Matcher(SequenceMatcher[str]):
    """Counts its steps, of which answers that repeat few words over and over take the cube of their length."""

    a: Sequence[str]
    b: Sequence[str]
    b2j: dict[str, list[int]]
    left = 50_000_000

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        """As the base's, while there are steps left."""
        self.left -= sum(len(self.b2j.get(word, ())) for word in self.a[alo:ahi])
        if self.left < 0:
            raise InvalidInput(
                f"Answers of {len(self.a):,} and {len(self.b):,} words that say the same words again and again cannot "
                "be compared in reasonable time. Ask for shorter answers."
            )
        return super().find_longest_match(alo, ahi, blo, bhi)


def _unmatched(first: Sequence[str], second: Sequence[str]) -> tuple[set[int], set[int]]:
    """The places in each list that the other has no counterpart for."""
    here, there = set(range(len(first))), set(range(len(second)))
    for at, beside, count in _Matcher(None, first, second, autojunk=False).get_matching_blocks():
        here.difference_update(range(at, at + count))
        there.difference_update(range(beside, beside + count))
    return here, there


def _pieces(answer: str, words: Sequence[re.Match[str]], changed: set[int]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    start = 0
    for index, word in enumerate(words):
        if index not in changed or index - 1 in changed:
            continue
        last = index
        while last + 1 in changed:
            last += 1
        if word.start() > start:
            pieces.append(Piece(answer[start : word.start()], False))
        start = words[last].end()
        pieces.append(Piece(answer[word.start() : start], True))
    if start < len(answer):
        pieces.append(Piece(answer[start:], False))
    return tuple(pieces)
