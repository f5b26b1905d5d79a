"""How likely a server's model held its answer to be, from the log-probabilities that the server gives of its tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ROUNDING = 1e-3
"""A log-probability may be above 0 by so much where a server computes in half precision."""
_SPACE = b" \t\r\n"
_SPOILT = "\N{REPLACEMENT CHARACTER}".encode()
_LEAST = -1e9  # below, a probability is 0 in any case


class NotTold(Exception):
    """Why an answer's confidence is not known, as the end of a sentence about the server: "it …"."""


@dataclass(frozen=True)
class Token:
    """A token as the server tells of it. text: its bytes in UTF-8."""

    text: bytes
    log_probability: float


def read_tokens(told: Any) -> list[Token]:
    """The tokens of a choice's `logprobs`, none where it has none. Raises NotTold for what is no such thing."""
    content = _entry(told, "content")
    if content is None:
        return []
    if not isinstance(content, list):
        raise NotTold(f"sent {_shown(content)} in place of a list of log-probabilities")
    return [_read(entry) for entry in content]


def confidence(tokens: Sequence[Token], content: str, start: int, thought: bool) -> float:
    """The product of the probabilities of the answer's tokens, and of its end where the server tells of it.

    tokens: all that the server told of, in order. content: the text beside any reasoning that the server sent apart, of
    which the answer begins at the letter `start`. thought: whether there was thinking, in either; its tokens do not
    count. That of an empty answer is 0. Raises NotTold where the tokens do not cover the content.
    """
    if not content[start:].strip():
        return 0.0
    if not tokens:
        raise NotTold("gives no log-probabilities")
    first = _first_token(tokens, content, start, thought)
    return math.exp(sum(token.log_probability for token in tokens[first:]))


def _first_token(tokens: Sequence[Token], content: str, start: int, thought: bool) -> int:
    """Where the answer begins: 0 where nothing stands before it.

    The content stands at the end of all tokens, or before one more that ends it; what comes before is reasoning and
    marks. Blanks are not compared, as servers strip them.
    """
    spoilt = any(_SPOILT in token.text for token in tokens) and "\N{REPLACEMENT CHARACTER}" not in content
    texts = [_comparable(token.text, spoilt) for token in tokens]
    whole = _comparable(content.encode("utf-8", "replace"), spoilt)
    if not whole and not thought:  # none of its letters can be compared
        return 0
    for end in (len(texts), len(texts) - 1):
        written = b"".join(texts[:end])
        if whole and written.endswith(whole):
            break
    else:
        raise NotTold("does not give the log-probability of every token of its answer")
    before = len(written) - len(_comparable(content[start:].encode("utf-8", "replace"), spoilt))
    if not before:
        return 0
    for first, text in enumerate(texts):
        before -= len(text)
        if before < 0:
            return first
    raise AssertionError("an answer that its own tokens do not reach")


def _comparable(text: bytes, spoilt: bool) -> bytes:
    """Without blanks; and where letters were torn apart between tokens and lost, the others alone."""
    return bytes(byte for byte in text if byte not in _SPACE and not (spoilt and byte > 127))


def _read(entry: Any) -> Token:
    value = _entry(entry, "logprob")
    if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value <= _ROUNDING:
        raise NotTold(f"gives {_shown(value)} as the log-probability of a token")
    return Token(_text(_entry(entry, "bytes"), _entry(entry, "token")), float(min(max(value, _LEAST), 0)))


def _text(raw: Any, text: Any) -> bytes:
    if isinstance(raw, list) and raw and all(type(byte) is int and 0 <= byte < 256 for byte in raw):
        return bytes(raw)
    if not isinstance(text, str):
        raise NotTold(f"gives {_shown(text)} as a token")
    return text.encode("utf-8", "replace")


def _entry(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _shown(value: Any) -> str:
    """A number as it is, of all else the kind: a server may put anything there, a key too."""
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, float) else f"a value of type {type(value).__name__}"
