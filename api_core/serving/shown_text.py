"""What a client sees of an answer while it is written: a text that only grows, and ends where it said."""

from __future__ import annotations

from collections.abc import Sequence

from ..models.conversation.reply import THINKING, WRAPPERS
from .refusal import Refused

_MARKS = tuple(mark for pair in (*THINKING, *WRAPPERS) for mark in pair)


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text up to the first of `stops`, and whether there is one."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return (text[: min(places)].rstrip(), True) if places else (text, False)


class GrowingText:
    """Gives out of a text that is written what is new and certain: no beginning of what may end or mark it."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._held = (*stops, *_MARKS)
        self._sent = ""

    def grown(self, text: str, whole: bool = False) -> str:
        """What of the text so far was not given out yet. whole: nothing follows.

        Raises Refused where it is not what was given out before.
        """
        certain = text if whole else text[: len(text) - self._uncertain(text)].rstrip()
        if not whole and self._sent.startswith(certain):
            return ""
        if not certain.startswith(self._sent):
            raise Refused(
                "The answer is not the one that was begun: the connection to its server was lost, or its thinking was "
                "not marked at the beginning. Ask without stream.",
                status=502,
                code="answer_changed",
            )
        new, self._sent = certain[len(self._sent) :], certain
        return new

    def _uncertain(self, text: str) -> int:
        """How many letters at the end may be the beginning of something that is no part of it."""
        most = max(map(len, self._held)) - 1
        for length in range(min(most, len(text)), 0, -1):
            end = text[-length:]
            if any(mark.startswith(end) for mark in self._held):
                return length
        return 0
