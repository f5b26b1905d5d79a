"""Files written by threads of their own, while the next ones are computed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

THREADS = max(1, min(4, os.cpu_count() or 1))


class Writing:
    """A context manager: what it is given inside is all done, or has failed, when it ends.

    At its end without an error it raises the first failure that nobody has looked at. Few things wait at a time, so
    that pictures do not fill the memory: who is quicker than the disk waits for it.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="writing")
        self._room = threading.Semaphore(2 * threads)
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=True)
        if kind is None:
            for future in self._begun:
                future.result()

    def submit(self, write: Callable[[], None]) -> Future[None]:
        """Have `write` done soon; raises what has failed before."""
        self._begun = [future for future in self._begun if not future.done() or future.exception() is not None]
        self._room.acquire()
        future = self._pool.submit(write)
        future.add_done_callback(lambda _: self._room.release())
        self._begun.append(future)
        return future
