"""Read one answer: as the server streams it, or in one piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from ...texts import clean
from ..conversation.case import Reply
from ..conversation.reply import split_thinking
from .background_loop import time_limit
from .bounded_stream import MOST_BYTES, events
from .confidence import NotTold, Token, confidence, read_tokens
from .failures import Failure, broken_off, explain, garbled, is_too_much
from .openai_client import Limits, Server
from .secret import Secret, redact

_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_CUT_SHORT = ("length", "content_filter")  # any other reason of the server's is an end of the model's own
_REFUSED = "the model refused to answer"
_HOW = "If it is that slow: `python -m api_core servers add … --replace --patience SECONDS`."
_SLOWEST = 0.5  # seconds a token of an answer that comes in one piece
_PIECES = 4  # at most that a token is sent in
_UNCOUNTED = 16_384  # pieces of thinking, which not every server counts
_LETTERS = 16  # of a piece, on the whole
_SHORT = 8_000  # letters of a text that is shown at every piece
_GROWN = 1.02
_COUNTED = ("prompt", "completion")
_FILTERED = "the server's content filter ended the answer"


OnText = Callable[[str, int, tuple[str, str]], None]
"""Takes the text so far, of how many tokens (about) that is, and the thinking and the answer in it."""


@dataclass(frozen=True)
class ServerReply:
    """A reply, whose tokens only the server knows, and notes on how it came about.

    untold: why the reply has no confidence although it was asked for, as the end of a sentence about the server. model:
    which model answered, as the server calls it. as_sent: the answer with the blanks at its ends. usage: the tokens of
    the prompt and of the reply, where the server counts them.
    """

    reply: Reply
    notes: tuple[str, ...] = ()
    untold: str = ""
    model: str = ""
    as_sent: str = ""
    usage: tuple[int, int] | None = None


class _Wrong(Exception):
    """JSON of another shape than a chat answer has."""


@dataclass
class StreamedAnswer:
    """What has arrived of an answer. finish: the server's reason to end, empty while it has not given one.

    content, reasoning: the pieces. tokens: what the server told of its tokens. untold: what is wrong with that, if
    anything. letters: how long both are.
    """

    secret: Secret | None = None
    model: str = ""
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish: str = ""
    pieces: int = 0
    letters: int = 0
    notes: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    untold: str = ""
    usage: tuple[int, int] | None = None

    def take(self, chunk: Any) -> bool:
        """Add a chunk of the stream; whether it brought anything. Raises _Wrong for what is none."""
        choices = _entry(chunk, "choices", list) or []
        self.model = _text(chunk, "model") or self.model
        used = chunk.get("usage")
        read, written = (used.get(f"{what}_tokens") if isinstance(used, dict) else None for what in _COUNTED)
        if isinstance(read, int) and isinstance(written, int):
            self.usage = (read, written)
        if not choices:
            return False
        choice = choices[0]
        delta = _entry(choice, "delta", dict) or _entry(choice, "message", dict) or {}
        content = _text(delta, "content") or _text(delta, "refusal")
        reasoning = next((text for name in _THINKING_FIELDS if (text := _text(delta, name))), "")
        finish = _text(choice, "finish_reason")
        self.content.append(content)
        self.reasoning.append(reasoning)
        self.letters += len(content) + len(reasoning)
        self.pieces += bool(content or reasoning)
        self.finish = finish or self.finish
        try:
            self.tokens += read_tokens(choice.get("logprobs"))
        except NotTold as error:
            self.untold = self.untold or str(error)
        for happened, note in ((_text(delta, "refusal"), _REFUSED), (finish == "content_filter", _FILTERED)):
            if happened and note not in self.notes:
                self.notes.append(note)
        return bool(content or reasoning or finish)

    def cut(self, why: str) -> None:
        """End it here, with a note on why."""
        self.finish = "length"
        self.notes.append(f"{why}; what came until then is the answer")

    @property
    def so_far(self) -> str:
        """All that has come, the thinking first and unmarked; for people who watch."""
        parts = ("".join(self.reasoning), "".join(self.content))
        return clean(redact("\n\n".join(part for part in parts if part), self.secret))

    @property
    def parted(self) -> tuple[str, str]:
        """The thinking and the answer, without the key in case the server repeats it."""
        thinking, text, _ = self._parted()
        return thinking, text

    def _parted(self) -> tuple[str, str, str]:
        """The same, and the answer with the blanks at its ends."""
        content = clean(redact("".join(self.content), self.secret))
        inline, (start, end) = split_thinking(content)
        reasoning = clean(redact("".join(self.reasoning), self.secret)).strip()
        thinking = "\n\n".join(part for part in (reasoning, inline) if part)
        return thinking, content[start:end], content[start:end] if inline else content

    def reply(self, with_confidence: bool = False) -> ServerReply:
        """The whole answer. with_confidence: it was asked for."""
        thinking, text, as_sent = self._parted()
        complete = self.finish not in _CUT_SHORT
        sure, untold = self._confidence("".join(self.content), bool(thinking)) if with_confidence else (None, "")
        reply = Reply(text, thinking, (), (), complete, sure)
        model = redact(self.model, self.secret)
        return ServerReply(reply, tuple(self.notes), untold, model, as_sent, self.usage)

    def _confidence(self, written: str, thought: bool) -> tuple[float | None, str]:
        """The answer's confidence, or why it is not known."""
        if self.untold:
            return None, self.untold
        try:
            _, (start, _) = split_thinking(written)
            return confidence(self.tokens, written, start, thought), ""
        except NotTold as error:
            return None, str(error)


class _Shown:
    """Tells of an answer as it grows: every piece of a short one, of a long one now and then, so that a text that comes
    in many pieces is not put together anew for each."""

    def __init__(self, answer: StreamedAnswer, on_text: OnText) -> None:
        self._answer, self._on_text = answer, on_text
        self._letters = 0

    def __call__(self, last: bool = False) -> None:
        letters = self._answer.letters
        if last or letters < _SHORT or letters > self._letters * _GROWN:
            self._letters = letters
            self._on_text(self._answer.so_far, self._answer.pieces, self._answer.parted)


async def read_answer(client: Any, request: Mapping[str, Any], server: Server, on_text: OnText) -> StreamedAnswer:
    """One attempt: send the request and read its stream to the end; Failure, which holds what had come until then, or
    CancelledError when stopped.

    What goes on beyond all that was asked for is cut off.
    """
    answer = StreamedAnswer(server.secret)
    try:
        await _read_into(answer, client, request, server, on_text)
    except Failure as failure:
        failure.so_far = answer.so_far.strip()
        raise
    return answer


async def _read_into(
    answer: StreamedAnswer, client: Any, request: Mapping[str, Any], server: Server, on_text: OnText
) -> None:
    limits = server.limits
    most = request.get("max_tokens") or request.get("max_completion_tokens") or 0
    patience = limits.first_token + (most * _SLOWEST if "logprobs" in request else 0)
    late = f"said nothing within {patience:g} s of being asked. {_HOW}"
    show = _Shown(answer, on_text)
    asking = client.chat.completions.with_streaming_response.create
    try:
        # The time is up unless a word comes; comments that keep a connection alive are none.
        with time_limit(patience) as allow:
            async with asking(**request, stream=True) as response:
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    _take_whole(answer, await response.http_response.aread(), server)
                    show(last=True)
                    return
                ends = monotonic() + limits.total(most)
                received = 0
                async for event in events(response.http_response.aiter_bytes()):
                    received += 1
                    if event == b"[DONE]":
                        break
                    if answer.take(_read(event, server)):
                        show()
                        late = f"stopped in the middle of its answer and said nothing for {limits.between_tokens:g} s."
                        allow(limits.between_tokens)
                    if why := _beyond(answer, received, most, monotonic() > ends, limits):
                        answer.cut(f"{server.profile.name} {why}")
                        break
    except TimeoutError:
        raise Failure(f"{server.where} {late}", "slow") from None
    except _Wrong as error:
        raise garbled(str(error), server) from None
    except Exception as error:  # noqa: BLE001 - whatever the library raises is explained, never passed on
        if not (is_too_much(error) and answer.letters):
            raise explain(error, server, str(request["model"])) from None
        answer.cut(f"{server.profile.name} sent more than {MOST_BYTES / 1e6:.0f} MB")
    if not answer.pieces and answer.finish in ("", "length"):
        raise Failure(f"{server.where} ended its answer without a word.", "empty", transient=True)
    if not answer.finish:
        raise Failure(f"{server.where} broke off in the middle of its answer.", "lost", transient=True)
    show(last=True)


def _beyond(answer: StreamedAnswer, received: int, most: int, late: bool, limits: Limits) -> str:
    """Why no more of an answer is read: it is much longer than it was allowed to be, or takes too long; "" to go on."""
    pieces = _PIECES * most + _UNCOUNTED
    if received > pieces or answer.letters > _LETTERS * pieces:
        return f"did not keep to the limit of {most} tokens"
    return f"took longer than {limits.total(most):.0f} s" if late else ""


def _read(event: bytes, server: Server) -> Any:
    """An event's JSON; Failure where it is none, or tells of the server's trouble."""
    chunk = _json(event)
    error = chunk.get("error") if isinstance(chunk, dict) else None
    if error:
        raise broken_off(error, server)
    return chunk


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Wrong(text.decode("utf-8", "replace")) from None


def _take_whole(answer: StreamedAnswer, text: bytes, server: Server) -> None:
    """Take an answer that the server sent in one piece although it was asked to stream; some always do."""
    if not answer.take(_read(text, server)):
        raise garbled(text.decode("utf-8", "replace"), server)
    answer.finish = answer.finish or "stop"


def _entry(holder: Any, name: str, kind: type) -> Any:
    """What stands under a name, None where nothing does; raises _Wrong where it is of another kind."""
    value = holder.get(name) if isinstance(holder, dict) else ()
    if value is not None and not isinstance(value, kind):
        raise _Wrong(json.dumps(holder))
    return value


def _text(holder: Any, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
