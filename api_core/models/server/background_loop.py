"""Run the client's coroutines beside the caller: its thread is where they call back, and Stop ends them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from ...errors import AttentionPromptingError, ServerFailed
from .failures import Failure

logger = logging.getLogger(__name__)

T = TypeVar("T")
Tell = Callable[..., None]
"""Takes a function and its arguments, which it has called in the caller's thread."""

_POLL = 0.1  # seconds between two looks at whether the caller wants to stop
_PATIENCE = 3.0  # seconds that closing connections may take after Stop


def run(work: Callable[[Tell], Coroutine[Any, Any, T]], on_idle: Callable[[], None]) -> T:
    """Run `work` in a loop and a thread of its own (the caller's may have a loop already) and return its value.

    What the work tells, and on_idle when it told nothing for a while, is called in the caller's thread. What that
    raises stops the work: its connections are closed before the exception goes on.
    """
    calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    stop = threading.Event()
    ended: Future[T] = Future()

    def tell(function: Callable[..., None], *given: Any) -> None:
        calls.put(functools.partial(function, *given))

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(_log_kind)
        task = asyncio.ensure_future(work(tell))
        while not (task.done() or stop.is_set()):
            await asyncio.wait([task], timeout=_POLL)
        task.cancel()  # which changes nothing where it is done
        return await task

    def main() -> None:
        # A library's exception is never carried across: it, its causes and its frames could hold what nobody may see.
        try:
            ended.set_result(asyncio.run(watched()))
        except Failure as failure:
            ended.set_exception(ServerFailed(failure.whole, failure.kind))
        except AttentionPromptingError as error:
            ended.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - also the cancellation
            ended.set_exception(ServerFailed(f"Asking the server failed unexpectedly: {type(error).__name__}."))
        calls.put(lambda: None)

    thread = threading.Thread(target=main, name="server client", daemon=True)
    thread.start()
    try:
        while not (ended.done() and calls.empty()):
            try:
                call = calls.get(timeout=_POLL)
            except queue.Empty:
                call = on_idle
            call()
    finally:
        stop.set()
        thread.join(_PATIENCE)
    return ended.result()


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[Callable[[float], None]]:
    """TimeoutError when the block takes longer; what it is given allows it so many seconds from then on.

    As asyncio.timeout, which Python has from 3.11.
    """
    task, expired = asyncio.current_task(), False
    assert task is not None, "outside a coroutine"

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    alarm = task.get_loop().call_later(seconds, expire)

    def allow(seconds: float) -> None:
        nonlocal alarm
        alarm.cancel()
        alarm = task.get_loop().call_later(seconds, expire)

    try:
        yield allow
    except asyncio.CancelledError:
        if expired:
            raise TimeoutError from None
        raise
    finally:
        alarm.cancel()


def _log_kind(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Instead of asyncio's own handler, which prints whole exceptions: a server may have put the key into one."""
    logger.debug("%s (%s)", context.get("message"), type(context.get("exception")).__name__)
