"""Run some work over cases: batch by batch, each result kept as soon as it is there, every failure kept to its case."""

from __future__ import annotations

import hashlib
import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ...errors import AttentionPromptingError, CannotWrite, InvalidInput, quoted, shortened
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase
from .lanes import Stoppable, in_lanes
from .results_file import Journal, Record

log = logging.getLogger(__name__)

Work = Callable[[Sequence[QuestionCase], Progress], Sequence[Mapping[str, Any]]]
"""What is done with a batch of cases: one mapping for each, in order. Its progress callback is to be called now and
then, so that the run can be stopped inside a batch."""

Keep = Callable[[Sequence[QuestionCase], Sequence[Mapping[str, Any]]], None]
"""Takes some cases and their outcomes, and has them written."""

_PACKAGES = ("attention-prompting", "torch", "transformers", "open_clip_torch", "numpy", "pillow")


@dataclass(frozen=True)
class RunResult:
    """records: the line of every case that is done or failed now, in the order of the cases. skipped: done before."""

    records: tuple[Record, ...]
    skipped: int
    failed: int


def run_cases(
    cases: Sequence[QuestionCase],
    work: Work,
    out: Path | None,
    *,
    settings: Mapping[str, Any],
    batch_size: int = 1,
    lanes: int = 1,
    overwrite: bool = False,
    on_progress: Progress = ignore_progress,
) -> RunResult:
    """Do `work` for every case that `out` does not hold yet, and add its results there (None: keep them in memory).

    settings: everything that decides a result; they go on every line, and a file made with others is refused. lanes:
    batches that are done side by side, by threads: for work that waits for others, such as a server.

    A batch that fails is done again case by case; a case that fails by itself gets a line with `error` instead of a
    result, and is tried again by the next run. An exception from `on_progress`, which is called with the cases done and
    the cases there are, stops the run, and so does a place that cannot be written to, such as a full disk; what is done
    stays.
    """
    if batch_size < 1 or lanes < 1:
        raise InvalidInput(f"A batch holds one case or more, and there is one lane or more; not {batch_size}, {lanes}.")

    def do(groups: Sequence[Sequence[QuestionCase]], keep: Keep, watch: Watch) -> None:
        if lanes > 1:
            in_lanes(lambda group, lane: outcomes_of(work, group, lane), groups, keep, watch, lanes)
            return
        for group in groups:
            keep(group, outcomes_of(work, group, watch))

    return run_groups(cases, do, out, settings, batch_size, overwrite, on_progress)


def run_groups(
    cases: Sequence[QuestionCase],
    do: Callable[[Sequence[Sequence[QuestionCase]], Keep, Watch], None],
    out: Path | None,
    settings: Mapping[str, Any],
    batch_size: int,
    overwrite: bool,
    on_progress: Progress,
) -> RunResult:
    """As `run_cases`, but `do` says how: it gets the groups of cases that wait, and hands over the outcomes of each
    group, or of any part of one, as they come."""
    watch = Watch(on_progress, len(cases))
    with Journal(out, settings, overwrite=overwrite) as journal:
        waiting = [case for case in cases if not journal.holds(case)]
        skipped = len(cases) - len(waiting)
        watch.report(skipped)

        def keep(group: Sequence[QuestionCase], outcomes: Sequence[Mapping[str, Any]]) -> None:
            for case, outcome in zip(group, outcomes, strict=True):
                journal.add(case, {**outcome, "versions": outcome.get("versions", versions())})
            watch.report(watch.done + len(group))

        do([waiting[start : start + batch_size] for start in range(0, len(waiting), batch_size)], keep, watch)
        records = tuple(journal.records[case.id] for case in cases)
        return RunResult(records, skipped, sum("error" in record for record in records))


def select_range(cases: Sequence[QuestionCase], text: str) -> list[QuestionCase]:
    """The cases "A:B" of a list, A counted from 0 and B exclusive; either may be left out."""
    first, colon, last = text.partition(":")
    try:
        start, stop = int(first or 0), int(last) if last else len(cases)
    except ValueError:
        colon = ""
        start = stop = 0
    if not colon or start < 0 or stop < 0:
        raise InvalidInput(f"A range is A:B, from case A (counted from 0) up to, not including, B; not {quoted(text)}.")
    chosen = list(cases[start:stop])
    if not chosen:
        raise InvalidInput(f"The range {text} holds none of the {len(cases)} cases.")
    return chosen


def select_shard(cases: Sequence[QuestionCase], text: str) -> list[QuestionCase]:
    """Part "i/n" of the cases, i counted from 1. Which part a case is in its id alone decides; a part may be empty."""
    part, slash, parts = text.partition("/")
    i, n = (int(number) if number.isdecimal() else 0 for number in (part, parts))
    if not slash or not 1 <= i <= n:
        raise InvalidInput(
            f"A shard is i/n, part i of n, counted from 1: 1/16 to 16/16; not {shortened(text)!r}. In a job array that "
            "counts from 0 add 1."
        )
    return [case for case in cases if _bucket(case.id) % n == i - 1]


def _bucket(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "backslashreplace")).digest()[:8], "big")


@cache
def versions() -> dict[str, str]:
    """What a result was made with: Python and the installed packages that can change it."""
    found = {"python": platform.python_version()}
    return found | {name: version for name in _PACKAGES if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


class Watch:
    """The caller's callback, and whether it has asked to stop: its exception is told from a case's own failure."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self.total = total
        self.done = 0
        self.stopped = False
        self._on_progress = on_progress

    def report(self, done: int) -> None:
        self.done = done
        if self.stopped:  # what was done by then is still counted
            return
        try:
            self._on_progress(done, self.total)
        except BaseException:
            self.stopped = True
            raise

    def inside(self, done: int, total: int) -> None:
        """The callback for work inside a batch, whose steps are not cases."""
        self.report(self.done)


def outcomes_of(work: Work, group: Sequence[QuestionCase], watch: Stoppable) -> list[Mapping[str, Any]]:
    """What the work makes of a group; where that fails, of each case by itself, and the error of one that fails."""
    started = time.perf_counter()
    try:
        found = list(work(group, watch.inside))
        if len(found) != len(group):
            raise AttentionPromptingError(f"{len(group)} cases gave {len(found)} results.")
    except Exception as error:
        if watch.stopped or (isinstance(error, CannotWrite) and error.everywhere):
            raise
        if len(group) > 1:
            log.debug("a batch of %d cases failed; each is done by itself", len(group), exc_info=True)
            return [outcome for case in group for outcome in outcomes_of(work, [case], watch)]
        log.warning("case %s failed: %s", group[0].id, error)
        log.debug("case %s", group[0].id, exc_info=True)
        known = isinstance(error, AttentionPromptingError)
        message = " ".join(str(error).split())
        return [{"error": message if known and message else f"{type(error).__name__}: {message}"}]
    seconds = (time.perf_counter() - started) / len(group)
    return [{**outcome, "seconds": round(seconds, 4)} for outcome in found]
