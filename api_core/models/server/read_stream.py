"""Read one answer as the server streams it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from ..conversation.reply import split_thinking
from .failures import Failure, RequestFailed, explain, garbled
from .openai_client import Limits
from .profiles import Profile
from .secret import Secret, redact

T = TypeVar("T")

_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_CUT_SHORT = ("length", "content_filter")  # any other reason of the server's is an end of the model's own
_REFUSED = "the model refused to answer"
_HOW = "If it is that slow: `python -m api_core servers add … --replace --patience SECONDS`."
_FILTERED = "the server's content filter ended the answer"


@dataclass
class StreamedAnswer:
    """What has arrived of an answer. finish: the server's reason to end, empty while it has not given one."""

    secret: Secret | None = None
    content: str = ""
    reasoning: str = ""
    finish: str = ""
    pieces: int = 0
    notes: list[str] = field(default_factory=list)

    def take(self, chunk: Any) -> bool:
        """Add a chunk of the stream; whether it brought anything."""
        choice = next(iter(getattr(chunk, "choices", None) or ()), None)
        if choice is None:
            return False
        delta = getattr(choice, "delta", None) or getattr(choice, "message", None)
        content = _text(delta, "content") or _text(delta, "refusal")
        reasoning = next((text for name in _THINKING_FIELDS if (text := _text(delta, name))), "")
        finish = getattr(choice, "finish_reason", None)
        self.content += content
        self.reasoning += reasoning
        self.pieces += bool(content or reasoning)
        if isinstance(finish, str):
            self.finish = finish
        for happened, note in ((_text(delta, "refusal"), _REFUSED), (finish == "content_filter", _FILTERED)):
            if happened and note not in self.notes:
                self.notes.append(note)
        return bool(content or reasoning or finish)

    @property
    def texts(self) -> tuple[str, str]:
        """The answer and the thinking so far, without the key in case the server repeats it."""
        content = redact(self.content, self.secret)
        inline, (start, end) = split_thinking(content)
        reasoning = redact(self.reasoning, self.secret).strip()
        return content[start:end], "\n\n".join(part for part in (reasoning, inline) if part)

    @property
    def so_far(self) -> str:
        """All that has come, the thinking first and unmarked; for people who watch."""
        return redact("\n\n".join(part for part in (self.reasoning, self.content) if part), self.secret)

    @property
    def complete(self) -> bool:
        return self.finish not in _CUT_SHORT


async def stream_answer(
    client: Any,
    request: Mapping[str, Any],
    *,
    profile: Profile,
    secret: Secret | None,
    limits: Limits,
    on_piece: Callable[[StreamedAnswer], None],
) -> StreamedAnswer:
    """One attempt: send the request and read its stream to the end; RequestFailed, or CancelledError when stopped."""
    where = f"{profile.name} at {profile.address}"
    answer = StreamedAnswer(secret)
    deadline = Deadline(
        limits.first_token, f"{where} said nothing within {limits.first_token:g} s of being asked. {_HOW}"
    )
    stream: Any = None
    try:
        stream = await deadline.keep(client.chat.completions.create(**request, stream=True))
        kind = str(getattr(stream.response, "headers", {}).get("content-type", ""))
        if "text/event-stream" not in kind:
            _take_whole(answer, await _body(stream.response, deadline), profile, secret)
            on_piece(answer)
            return answer
        chunks = aiter(stream)
        while True:
            try:
                chunk = await deadline.keep(anext(chunks))
            except StopAsyncIteration:
                break
            if answer.take(chunk):
                on_piece(answer)
                deadline = Deadline(
                    limits.between_tokens,
                    f"{where} stopped in the middle of its answer and said nothing for {limits.between_tokens:g} s.",
                )
    except (RequestFailed, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library raises is explained, never passed on
        raise RequestFailed(explain(error, profile, str(request["model"]), secret, limits.connect)) from None
    finally:
        if stream is not None:
            await stream.response.aclose()
    if not answer.finish and not answer.pieces:
        raise RequestFailed(Failure(f"{where} ended its answer without a word.", "empty", transient=True))
    if not answer.finish:
        raise RequestFailed(Failure(f"{where} broke off in the middle of its answer.", "lost", transient=True))
    return answer


@dataclass
class Deadline:
    """A time by which something must have come. Comments that keep a connection alive do not count."""

    seconds: float
    message: str

    def __post_init__(self) -> None:
        self._until = asyncio.get_running_loop().time() + self.seconds

    async def keep(self, awaitable: Awaitable[T]) -> T:
        """What `awaitable` gives in time; RequestFailed otherwise.

        Not asyncio.wait_for: before Python 3.12 it can swallow a cancellation that comes as the result does.
        """
        task = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait([task], timeout=max(0.0, self._until - asyncio.get_running_loop().time()))
            if task.done():
                return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
            _ = task.cancelled() or task.exception()  # asyncio prints exceptions that nobody looked at
        raise RequestFailed(Failure(self.message, "slow"))


async def _body(response: Any, deadline: Deadline) -> str:
    await deadline.keep(response.aread())
    return str(response.text)


def _take_whole(answer: StreamedAnswer, text: str, profile: Profile, secret: Secret | None) -> None:
    """Take an answer that the server sent in one piece although it was asked to stream; some always do."""
    try:
        content = json.loads(text, object_hook=lambda entries: SimpleNamespace(**entries))
    except ValueError:
        content = None
    if not answer.take(content):
        raise RequestFailed(garbled(text, profile, secret))
    answer.finish = answer.finish or "stop"


def _text(delta: Any, name: str) -> str:
    value = getattr(delta, name, None)
    return value if isinstance(value, str) else ""
