"""Files written by threads of their own, while the next ones are computed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

THREADS = 2
"""As many as keep up with a small model; a large one leaves them waiting."""


class Writing:
    """A context manager: what it is given inside has been done, or has failed, when it ends.

    One thing more than there are threads waits at a time, so that pictures do not fill the memory: who is quicker than
    the disk waits for it.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="writing")
        self._room = threading.Semaphore(THREADS + 1)
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True)

    def submit(self, write: Callable[[], None]) -> Future[None]:
        """Have `write` done soon. Waits while there is much to do."""
        self._room.acquire()
        future = self._pool.submit(write)
        future.add_done_callback(lambda _: self._room.release())
        self._begun.append(future)
        return future

    def require_written(self) -> None:
        """Wait for all that was submitted; raise the first failure."""
        begun, self._begun = self._begun, []
        for future in begun:
            future.result()
