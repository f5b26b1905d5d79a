"""Read one answer: as the server streams it, or in one piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ...texts import clean
from ..conversation.case import Reply
from ..conversation.reply import split_thinking
from .background_loop import time_limit
from .confidence import NotTold, Token, confidence, read_tokens
from .failures import Failure, explain, garbled
from .openai_client import Server
from .secret import Secret, redact

_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_CUT_SHORT = ("length", "content_filter")  # any other reason of the server's is an end of the model's own
_REFUSED = "the model refused to answer"
_HOW = "If it is that slow: `python -m api_core servers add … --replace --patience SECONDS`."
_SLOWEST = 0.5  # seconds a token of an answer that comes in one piece
_FILTERED = "the server's content filter ended the answer"


@dataclass(frozen=True)
class ServerReply:
    """A reply, whose tokens only the server knows, and notes on how it came about.

    untold: why the reply has no confidence although it was asked for, as the end of a sentence about the server. model:
    which model answered, as the server calls it. as_sent: the answer with the blanks at its ends.
    """

    reply: Reply
    notes: tuple[str, ...] = ()
    untold: str = ""
    model: str = ""
    as_sent: str = ""


@dataclass
class StreamedAnswer:
    """What has arrived of an answer. finish: the server's reason to end, empty while it has not given one.

    tokens: what the server told of its tokens. untold: what is wrong with that, if anything.
    """

    secret: Secret | None = None
    model: str = ""
    content: str = ""
    reasoning: str = ""
    finish: str = ""
    pieces: int = 0
    notes: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    untold: str = ""

    def take(self, chunk: Any) -> bool:
        """Add a chunk of the stream; whether it brought anything."""
        self.model = _text(chunk, "model") or self.model
        choice = next(iter(getattr(chunk, "choices", None) or ()), None)
        if choice is None:
            return False
        delta = getattr(choice, "delta", None) or getattr(choice, "message", None)
        content = _text(delta, "content") or _text(delta, "refusal")
        reasoning = next((text for name in _THINKING_FIELDS if (text := _text(delta, name))), "")
        finish = _text(choice, "finish_reason")
        self.content += content
        self.reasoning += reasoning
        self.pieces += bool(content or reasoning)
        self.finish = finish or self.finish
        try:
            self.tokens += read_tokens(getattr(choice, "logprobs", None))
        except NotTold as error:
            self.untold = self.untold or str(error)
        for happened, note in ((_text(delta, "refusal"), _REFUSED), (finish == "content_filter", _FILTERED)):
            if happened and note not in self.notes:
                self.notes.append(note)
        return bool(content or reasoning or finish)

    @property
    def so_far(self) -> str:
        """All that has come, the thinking first and unmarked; for people who watch."""
        return clean(redact("\n\n".join(part for part in (self.reasoning, self.content) if part), self.secret))

    def reply(self, with_confidence: bool = False) -> ServerReply:
        """The whole answer, without the key in case the server repeats it. with_confidence: it was asked for."""
        content = clean(redact(self.content, self.secret))
        inline, (start, end) = split_thinking(content)
        reasoning = clean(redact(self.reasoning, self.secret)).strip()
        thinking = "\n\n".join(part for part in (reasoning, inline) if part)
        complete = self.finish not in _CUT_SHORT
        sure, untold = self._confidence(bool(thinking)) if with_confidence else (None, "")
        reply = Reply(content[start:end], thinking, (), (), complete, sure)
        as_sent = reply.text if inline else content
        return ServerReply(reply, tuple(self.notes), untold, redact(self.model, self.secret), as_sent)

    def _confidence(self, thought: bool) -> tuple[float | None, str]:
        """The answer's confidence, or why it is not known."""
        if self.untold:
            return None, self.untold
        try:
            _, (start, _) = split_thinking(self.content)
            return confidence(self.tokens, self.content, start, thought), ""
        except NotTold as error:
            return None, str(error)


async def read_answer(
    client: Any, request: Mapping[str, Any], server: Server, on_text: Callable[[str, int], None]
) -> StreamedAnswer:
    """One attempt: send the request and read its stream to the end; Failure, or CancelledError when stopped.

    on_text: takes the text so far and of how many tokens (about) that is.
    """
    answer, limits = StreamedAnswer(server.secret), server.limits
    most = request.get("max_tokens") or request.get("max_completion_tokens") or 0
    patience = limits.first_token + (most * _SLOWEST if "logprobs" in request else 0)
    late = f"said nothing within {patience:g} s of being asked. {_HOW}"
    try:
        # The time is up unless a word comes; comments that keep a connection alive are none.
        with time_limit(patience) as allow:
            async with await client.chat.completions.create(**request, stream=True) as stream:
                if "text/event-stream" not in stream.response.headers.get("content-type", ""):
                    await stream.response.aread()
                    _take_whole(answer, stream.response.text, server)
                    on_text(answer.so_far, answer.pieces)
                    return answer
                async for chunk in stream:
                    if answer.take(chunk):
                        on_text(answer.so_far, answer.pieces)
                        late = f"stopped in the middle of its answer and said nothing for {limits.between_tokens:g} s."
                        allow(limits.between_tokens)
    except TimeoutError:
        raise Failure(f"{server.where} {late}", "slow") from None
    except Exception as error:  # noqa: BLE001 - whatever the library raises is explained, never passed on
        raise explain(error, server, str(request["model"])) from None
    if not answer.finish and not answer.pieces:
        raise Failure(f"{server.where} ended its answer without a word.", "empty", transient=True)
    if not answer.finish:
        raise Failure(f"{server.where} broke off in the middle of its answer.", "lost", transient=True)
    return answer


def _take_whole(answer: StreamedAnswer, text: str, server: Server) -> None:
    """Take an answer that the server sent in one piece although it was asked to stream; some always do."""
    try:
        content = json.loads(text, object_hook=lambda entries: SimpleNamespace(**entries))
    except ValueError:
        content = None
    if not answer.take(content):
        raise garbled(text, server)
    answer.finish = answer.finish or "stop"


def _text(holder: Any, name: str) -> str:
    value = getattr(holder, name, None)
    return value if isinstance(value, str) else ""
