"""Groups of work done side by side by threads, whose outcomes one thread takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

from ...errors import Cancelled, CannotWrite

Group = TypeVar("Group")
Outcome = TypeVar("Outcome")

_POLL = 0.2  # seconds between two looks at whether the caller wants to stop


class Stoppable(Protocol):
    """What work inside a group reports to, and whether that has asked it to stop."""

    @property
    def stopped(self) -> bool: ...

    def inside(self, done: int, total: int, /) -> None: ...


class Watched(Protocol):
    """The caller's progress: raises to stop everything. done: so far."""

    done: int

    def report(self, done: int, /) -> None: ...


class _Lane:
    """A `Stoppable` of one thread: the caller's own callback is for the caller's thread."""

    def __init__(self, end: threading.Event) -> None:
        self._end = end

    @property
    def stopped(self) -> bool:
        return self._end.is_set()

    def inside(self, done: int, total: int) -> None:
        if self.stopped:
            raise Cancelled("stopped")


def in_lanes(
    do: Callable[[Group, Stoppable], Outcome],
    groups: Sequence[Group],
    keep: Callable[[Group, Outcome], None],
    watch: Watched,
    lanes: int,
) -> None:
    """`do` for every group, so many at a time, and `keep` in the caller's thread for each that is done.

    Stopped, what is done by then is kept too, unless nothing more can be written.
    """
    end = threading.Event()
    lane = _Lane(end)
    waiting = iter(groups)
    running: dict[Future[Outcome], Group] = {}
    with ThreadPoolExecutor(lanes, thread_name_prefix="lane") as pool:
        try:
            while True:
                while len(running) < lanes and (group := next(waiting, None)) is not None:
                    running[pool.submit(do, group, lane)] = group
                if not running:
                    return
                done, _ = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
                watch.report(watch.done)
                for future in done:
                    group = running.pop(future)
                    keep(group, future.result())
        except BaseException as error:
            end.set()
            wait(running)
            if not isinstance(error, CannotWrite):
                for future, group in running.items():
                    if future.exception() is None:
                        keep(group, future.result())
            raise
