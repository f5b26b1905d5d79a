"""Text and tokens: which tokens a word stands in, whatever the tokenizer.

Byte-level tokenizers split characters over tokens and put a word's space into it; SentencePiece drops the first space
of whatever it decodes; others cannot give back what they were given. So tokens that a model wrote are spelled out one
by one in the context of those before them, and text that a person wrote is followed by the tokenizer's own offsets.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from .case import WordTokens

Span = tuple[int, int]

# Scripts without spaces between words: each character counts as a word, the finest that hint words can ask for.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:(?:['’\-]|(?<=\d)[.,](?=\d))[^\W{_UNSPACED}]+)*")  # noqa: RUF001
_UNFINISHED = "\ufffd"
_LONGEST_CHARACTER = 4  # bytes of UTF-8


def word_spans(text: str) -> list[Span]:
    """Where the words of `text` are, in characters: letters and digits with apostrophes and hyphens inside."""
    return [match.span() for match in _WORD.finditer(text)]


class IncrementalDecoder:
    """Spells tokens out as they come: the text so far, and which characters each token gave.

    skip: ids that give no text (special tokens). literal: ids that give this text instead of the tokenizer's. The
    tokens of one character share it.
    """

    def __init__(self, tokenizer: Any, skip: frozenset[int], literal: dict[int, str] | None = None) -> None:
        self.text = ""
        self.spans: list[Span] = []
        self._tokenizer = tokenizer
        self._skip = skip
        self._literal = literal or {}
        self._context: list[int] = []
        self._open: list[int] = []
        self._open_at: list[int] = []

    def push(self, token: int) -> str:
        """Take one more token; returns the text that is now certain."""
        before = len(self.text)
        if token in self._literal or token in self._skip:
            self._close()
            start = len(self.text)
            self.text += self._literal.get(token, "")
            self.spans.append((start, len(self.text)))
            return self.text[before:]
        self._open.append(token)
        self._open_at.append(len(self.spans))
        self.spans.append((before, before))
        new = self._new_text()
        if not new.endswith(_UNFINISHED) or len(self._open) >= _LONGEST_CHARACTER:
            self._settle(new)
        return self.text[before:]

    def finish(self) -> str:
        """Take what is still open as it is: a broken character at the end. Returns that text."""
        before = len(self.text)
        self._close()
        return self.text[before:]

    def _close(self) -> None:
        if self._open:
            self._settle(self._new_text())

    def _new_text(self) -> str:
        known = self._tokenizer.decode(self._context) if self._context else ""
        whole = self._tokenizer.decode([*self._context, *self._open])
        return whole[len(known) :] if whole.startswith(known) else whole[_common(known, whole) :]

    def _settle(self, new: str) -> None:
        start = len(self.text)
        self.text += new
        for index in self._open_at:
            self.spans[index] = (start, len(self.text))
        self._context = self._open
        self._open, self._open_at = [], []


def decode_with_spans(tokenizer: Any, tokens: Sequence[int], skip: frozenset[int]) -> tuple[str, list[Span]]:
    """The text of tokens, and the characters that each of them gave."""
    decoder = IncrementalDecoder(tokenizer, skip)
    for token in tokens:
        decoder.push(int(token))
    decoder.finish()
    return decoder.text, decoder.spans


def tokens_of_words(
    text: str, words: Sequence[Span], tokens: Sequence[Span], offset: int = 0
) -> tuple[WordTokens, ...]:
    """The words of `text` at `words` with the tokens [first, last) that share characters with them.

    tokens: the characters of each token. offset: what is added to token numbers. A word that no token
    shows is left out.
    """
    shown = [index for index, (first, last) in enumerate(tokens) if last > first]
    ends = [tokens[index][1] for index in shown]  # both rise: tokens come in the order of the text
    starts = [tokens[index][0] for index in shown]
    found = []
    for start, end in words:
        begin, behind = bisect_right(ends, start), bisect_left(starts, end)
        if begin < behind:
            found.append(WordTokens(text[start:end], offset + shown[begin], offset + shown[behind - 1] + 1))
    return tuple(found)


def locate_words(
    tokenizer: Any, row: Sequence[int], prompt: str, question: Span, skip: frozenset[int]
) -> tuple[WordTokens, ...]:
    """The words of the question in a row of input ids.

    prompt: the text of the row before pictures were expanded into tokens; question: its characters in it. Where the
    tokenizer gives no offsets, or cuts the text differently there, the row is spelled out and searched.
    """
    if getattr(tokenizer, "is_fast", False):
        found = _by_offsets(tokenizer, row, prompt, question)
        if found:
            return found
    text, spans = decode_with_spans(tokenizer, row, skip)
    wanted = prompt[slice(*question)]
    behind = prompt[question[1] :]
    for mark in filter(None, (tokenizer.decode([token]) for token in skip.intersection(row))):
        behind = behind.replace(mark, "\n")  # "star" is in <|im_start|>, which is not spelled out
    place = len(text)
    for _ in range(behind.count(wanted) + 1):  # the same words again, such as in the opening of the answer
        place = text.rfind(wanted, 0, max(place, 0))
    if place < 0:
        return ()
    words = [(place + first, place + last) for first, last in word_spans(wanted)]
    return tokens_of_words(text, words, spans)


def _by_offsets(tokenizer: Any, row: Sequence[int], prompt: str, question: Span) -> tuple[WordTokens, ...]:
    encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
    touching = [index for index, (first, last) in enumerate(offsets) if first < question[1] and last > question[0]]
    if not touching:
        return ()
    first, last = touching[0], touching[-1] + 1
    place = _last_place(list(row), ids[first:last], len(row) - (len(ids) - first))
    if place is None:
        return ()
    begin, end = question
    words = [(begin + low, begin + high) for low, high in word_spans(prompt[begin:end])]
    return tokens_of_words(prompt, words, offsets[first:last], place)


def _last_place(row: list[int], wanted: list[int], likely: int) -> int | None:
    """Where `wanted` stands in `row`: at `likely`, or else the last place there is."""
    for place in (likely, *range(len(row) - len(wanted), -1, -1)):
        if place >= 0 and row[place : place + len(wanted)] == wanted:
            return place
    return None


def _common(first: str, second: str) -> int:
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length
