"""From the tokens that a model wrote to an answer: its text, the thinking apart, and its words."""

import math
import re
from collections.abc import Sequence
from typing import Any

from .case import Reply
from .token_text import IncrementalDecoder, Span, tokens_of_words, word_spans

THINKING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel>thought", "<channel|>"),
    ("◁think▷", "◁/think▷"),
)
"""How models mark their thinking: what opens it and what closes it. Some of these are special tokens, others text."""

_BLANKS = re.compile(r"\s*")

WRAPPERS = (("<answer>", "</answer>"),)
"""What some models put around the answer after thinking."""


def opens_thinking(prompt: str) -> bool:
    """Whether a prompt ends inside a thinking part that the answer goes on with."""
    return any(prompt.rfind(opening) > prompt.rfind(closing) for opening, closing in THINKING)


def marks_thinking(text: str) -> bool:
    """Whether a special token is a mark of thinking, or begins one."""
    return any(mark.startswith(text) for pair in THINKING for mark in pair)


def thinking_tokens(tokenizer: Any, special: frozenset[int]) -> dict[int, str]:
    """The special tokens that mark thinking, and their text: they are not dropped with the other special ones."""
    texts = {token: str(tokenizer.convert_ids_to_tokens(token)) for token in special}
    return {token: text for token, text in texts.items() if text and marks_thinking(text)}


def parse_reply(
    decoder: IncrementalDecoder,
    token_ids: Sequence[int],
    log_probabilities: Sequence[float] = (),
    *,
    ends: frozenset[int],
    inside_thinking: bool = False,
) -> Reply:
    """The answer in tokens: a `decoder` that nothing was pushed to is used up for it.

    log_probabilities: of each token, or none. inside_thinking: the prompt had opened a thinking part.
    """
    tokens = tuple(int(token) for token in token_ids)
    for token in tokens:
        decoder.push(token)
    decoder.finish()
    text = decoder.text
    thinking, (start, end) = split_thinking(text, inside_thinking)
    words = [(start + first, start + last) for first, last in word_spans(text[start:end])]
    found = tokens_of_words(text, words, decoder.spans)
    first = next((at for at, (_, last) in enumerate(decoder.spans) if last > start), len(tokens)) if thinking else 0
    likely = math.exp(sum(log_probabilities[first:])) if start < end else 0.0
    confidence = likely if log_probabilities else None
    spelled = tuple(zip(_pieces(text, decoder.spans), log_probabilities, strict=True)) if log_probabilities else ()
    return Reply(text[start:end], thinking, tokens, found, bool(tokens) and tokens[-1] in ends, confidence, spelled)


def _pieces(text: str, spans: Sequence[Span]) -> list[str]:
    """What each token wrote; the tokens of one letter share its place, and the first gets it."""
    return ["" if at and spans[at - 1] == span else text[span[0] : span[1]] for at, span in enumerate(spans)]


def split_thinking(text: str, inside: bool = False) -> tuple[str, Span]:
    """The thinking in a model's text, and where the answer is: [start, end), blanks at its ends left out.

    inside: the text begins in the midst of thinking. Thinking that is never closed reaches to the end: the limit of
    tokens came before the answer.
    """
    parts = []
    place = 0
    while True:
        opening, closing = _opening_at(text, place)
        if not opening and not (place == 0 and (inside or _closes_first(text))):
            break
        begin = text.index(opening, place) + len(opening) if opening else 0
        closers = [closing] if opening else [pair[1] for pair in THINKING]
        ends = [(text.find(closer, begin), closer) for closer in closers if text.find(closer, begin) >= 0]
        end, closer = min(ends, default=(len(text), ""))
        parts.append(text[begin:end].strip())
        place = end + len(closer)
    span = _stripped(text, place, len(text))
    if parts:
        span = _unwrapped(text, span)
    return "\n\n".join(part for part in parts if part), span


def _opening_at(text: str, place: int) -> tuple[str, str]:
    """The marks of the thinking that begins at `place`, blanks apart; two empty ones where none does."""
    match = _BLANKS.match(text, place)
    begin = match.end() if match else place
    return next(((opening, closing) for opening, closing in THINKING if text.startswith(opening, begin)), ("", ""))


def _closes_first(text: str) -> bool:
    """Whether a thinking part is closed that the text never opened: the prompt had."""
    return any(closing in text and opening not in text[: text.index(closing)] for opening, closing in THINKING)


def _unwrapped(text: str, span: Span) -> Span:
    start, end = span
    for opening, closing in WRAPPERS:
        if text.startswith(opening, start):
            start += len(opening)
            end -= len(closing) if text.endswith(closing, start, end) else 0
    return _stripped(text, start, end)


def _stripped(text: str, start: int, end: int) -> Span:
    inner = text[start:end]
    left = len(inner) - len(inner.lstrip())
    return (start + left, start + left + len(inner.strip())) if inner.strip() else (end, end)
