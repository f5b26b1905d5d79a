"""Requests wait in the order in which they come; those that can be answered together are."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import AttentionPromptingError
from .read_request import ChatRequest
from .refusal import BUSY, Refused, refusal_of

MOST_WAITING = 256
_PATIENCE = 10.0  # seconds that work under way may take to stop


@dataclass(frozen=True)
class Written:
    """What there is of an answer so far."""

    thinking: str
    text: str


@dataclass(frozen=True)
class Finished:
    """The whole answer. complete: it ended by itself, or by what the client said ends it. tokens: of the prompt and of
    the answer, None where a server did not count them. about: what else there is to tell. spelled: as Answer's."""

    thinking: str
    text: str
    complete: bool
    tokens: tuple[int, int] | None
    about: dict[str, Any]
    spelled: tuple[tuple[str, float], ...] = ()


Event = Written | Finished | Refused


@dataclass(eq=False)
class Job:
    """A queued request. events: what has become of it, in order; the last is Finished or Refused. key: the same of
    jobs that can be answered together. ended: nothing more is wanted, as it is answered or its client went away."""

    request: ChatRequest
    key: Hashable
    events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    ended: threading.Event = field(default_factory=threading.Event)

    def tell(self, event: Event) -> None:
        """Nothing follows the end."""
        if not self.ended.is_set():
            if not isinstance(event, Written):
                self.ended.set()
            self.events.put(event)


class RequestQueue:
    """Answers jobs in threads of its own.

    answer: answers some jobs of one key, and tells them. threads: how many such are under way. at_once: jobs that one
    takes. on_trouble: gets the traceback of what nobody expected.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Job]], None],
        *,
        threads: int,
        at_once: int,
        on_trouble: Callable[[str], None],
    ) -> None:
        self._answer = answer
        self._at_once = at_once
        self._on_trouble = on_trouble
        self._waiting: list[Job] = []
        self._under_way: set[Job] = set()
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name="answering", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def add(self, job: Job) -> None:
        """Refused where too many wait."""
        with self._changed:
            if self._closed:
                raise _STOPPING
            self._waiting = [other for other in self._waiting if not other.ended.is_set()]
            if len(self._waiting) >= MOST_WAITING:
                raise Refused(f"{MOST_WAITING} requests wait already. Ask again later.", status=BUSY, code="busy")
            self._waiting.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Stop what is under way, and refuse what waits."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *self._under_way):
                job.tell(_STOPPING)
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _work(self) -> None:
        while jobs := self._next():
            self._do(jobs)
            with self._changed:
                self._under_way.difference_update(jobs)

    def _next(self) -> list[Job]:
        """The job that has waited longest, and others of its key; none when the queue is closed."""
        with self._changed:
            while True:
                self._waiting = [job for job in self._waiting if not job.ended.is_set()]
                if self._waiting or self._closed:
                    break
                self._changed.wait()
            key = self._waiting[0].key if self._waiting else None
            jobs = [job for job in self._waiting if job.key == key][: self._at_once]
            self._waiting = [job for job in self._waiting if job not in jobs]
            self._under_way.update(jobs)
            return jobs

    def _do(self, jobs: Sequence[Job]) -> None:
        try:
            self._answer(jobs)
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            if len(jobs) > 1:  # what is wrong with one need not be with the others
                for job in jobs:
                    if not job.ended.is_set():
                        self._do([job])
                return
            known = isinstance(error, AttentionPromptingError)
            why = "Answering failed unexpectedly; the server's own window says where."
            for job in jobs:
                job.tell(refusal_of(error) if isinstance(error, AttentionPromptingError) else Refused(why, status=500))
            if not known:
                with suppress(OSError, ValueError):  # a window that is shut must not end this thread
                    self._on_trouble(traceback.format_exc())


_STOPPING = Refused("The server is stopping.", status=503, code="stopping")
