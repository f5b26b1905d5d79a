"""Run the client's coroutines beside the caller: events come back to the caller's thread, and Stop ends them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ...errors import AttentionPromptingError, ServerFailed
from .failures import Failure, RequestFailed

logger = logging.getLogger(__name__)

T = TypeVar("T")
Emit = Callable[[Any], None]

_POLL = 0.1  # seconds between two looks at whether the caller wants to stop
_PATIENCE = 3.0  # seconds that closing connections may take after Stop


@dataclass(frozen=True)
class _Ended(Generic[T]):
    """How the work ended: with a value or with a failure. An exception of a library is never carried across: it, its
    causes and its frames could hold what must not be shown."""

    value: T | None = None
    failure: Failure | None = None
    own: AttentionPromptingError | None = None


def run(
    work: Callable[[Emit], Coroutine[Any, Any, T]], on_event: Callable[[Any], None], on_idle: Callable[[], None]
) -> T:
    """Run `work` in a loop and a thread of its own and return its value.

    on_event gets what the work emits, on_idle is called when nothing came for a while; both in the caller's thread.
    What they raise stops the work: its connections are closed before the exception goes on.
    """
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop = _Stop()

    def main() -> None:
        ended: _Ended[T] = _Ended(failure=Failure("The client of the server could not run.", "unexpected"))
        try:
            ended = asyncio.run(_guarded(work, events.put, stop))
        finally:
            events.put(ended)

    thread = threading.Thread(target=main, name="server client", daemon=True)
    thread.start()
    ended: _Ended[T] | None = None
    try:
        while ended is None:
            try:
                event = events.get(timeout=_POLL)
            except queue.Empty:
                on_idle()
                continue
            if isinstance(event, _Ended):
                ended = event
            else:
                on_event(event)
    finally:
        stop.ask()
        thread.join(_PATIENCE)
    if ended.own is not None:
        raise ended.own
    if ended.failure is not None:
        raise ServerFailed(ended.failure.message, ended.failure.kind)
    return ended.value  # type: ignore[return-value]  # there is one when there is no failure


class _Stop:
    """Cancels the work from another thread, also when it is asked for before the work has begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def watch(self, task: asyncio.Task[Any]) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), task
            if self._asked:
                task.cancel()

    def ask(self) -> None:
        with self._lock:
            self._asked = True
            if self._loop is not None and self._task is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: the work has ended
                    self._loop.call_soon_threadsafe(self._task.cancel)


def _log_kind(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Instead of asyncio's own handler, which prints whole exceptions: a server may have put the key into one."""
    logger.debug("%s (%s)", context.get("message"), type(context.get("exception")).__name__)


async def _guarded(work: Callable[[Emit], Coroutine[Any, Any, T]], emit: Emit, stop: _Stop) -> _Ended[T]:
    asyncio.get_running_loop().set_exception_handler(_log_kind)
    task: asyncio.Task[T] = asyncio.ensure_future(work(emit))
    stop.watch(task)
    await asyncio.wait([task])
    if task.cancelled():
        return _Ended(failure=Failure("Stopped.", "unexpected"))
    error = task.exception()
    if error is None:
        return _Ended(value=task.result())
    if isinstance(error, RequestFailed):
        return _Ended(failure=error.failure)
    if isinstance(error, AttentionPromptingError):
        return _Ended(own=error)
    return _Ended(failure=Failure(f"Asking the server failed unexpectedly: {type(error).__name__}.", "unexpected"))
