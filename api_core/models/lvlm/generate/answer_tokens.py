"""Writing a given answer as a model would have: its tokens depend on what the prompt ends with."""

from collections.abc import Sequence
from typing import Any

from ....texts import clean
from ...conversation.case import Case
from ...conversation.reply import marks_thinking
from ..inputs.chat_prompt import PromptWriter, escape_special_tokens

_TAIL = 8
_SAMPLE = "yes"


class AnswerEncoder:
    """Encodes answers of one model.

    A word's space belongs to its first token or not, by tokenizer and by what stands before; so the few ways there are
    of encoding an answer are decoded behind the end of a prompt, and the one that reads right is taken.
    """

    def __init__(
        self,
        tokenizer: Any,
        writer: PromptWriter,
        case: Case,
        row: Sequence[int],
        special: frozenset[int],
        ends: frozenset[int],
    ) -> None:
        """case, row: any case of the model and its input ids, whose end every prompt shares."""
        self._tokenizer = tokenizer
        tail: list[int] = []
        for token in reversed(row[-_TAIL:]):
            if token in special:
                break
            tail.insert(0, token)
        self._tail = tail
        self._tail_text = str(tokenizer.decode(tail)) if tail else ""
        self._commands = tuple(mark for mark in writer.specials if not marks_thinking(mark))
        self._separator = " " if self._tail_text.strip() and not self._tail_text[-1].isspace() else ""
        self._end = _end_of_turn(tokenizer, writer, case, ends)

    def encode(self, text: str) -> tuple[int, ...]:
        """The answer's tokens, and the one that ends it.

        What the model would read as a command is made harmless, as in a question; marks of thinking are left in.
        """
        text = escape_special_tokens(clean(text).strip(), self._commands)
        wanted = self._tail_text + self._separator + text
        ways = [self._ids(text), self._ids(" " + text), self._ids(wanted)[len(self._ids(self._tail_text)) :]]
        read = [str(self._tokenizer.decode([*self._tail, *way])) for way in ways]
        best = next((way for way, seen in zip(ways, read, strict=True) if seen == wanted), None)
        if best is None:  # a tokenizer that does not give back what it was given: what it makes of the text by itself
            best = ways[0]
        return tuple(best) if self._end is None else (*best, self._end)

    def _ids(self, text: str) -> list[int]:
        return [int(token) for token in self._tokenizer(text, add_special_tokens=False)["input_ids"]] if text else []


def _end_of_turn(tokenizer: Any, writer: PromptWriter, case: Case, ends: frozenset[int]) -> int | None:
    """The token that the model ends an answer with: the one that its chat template puts there."""
    closed = writer.write_answered(writer.clean(case), _SAMPLE)
    if closed is not None:
        rest = closed[closed.rindex(_SAMPLE) + len(_SAMPLE) :]
        for token in tokenizer(rest, add_special_tokens=False)["input_ids"] if rest else []:
            if token in ends:
                return int(token)
    if tokenizer.eos_token_id in ends:
        return int(tokenizer.eos_token_id)
    return min(ends, default=None)
