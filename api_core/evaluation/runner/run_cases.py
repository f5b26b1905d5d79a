"""Run some work over cases: batch by batch, each result kept as soon as it is there, every failure kept to its case."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from ...errors import AttentionPromptingError, InvalidInput
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase
from .results_file import Item, Journal, Record

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT", bound=Item)

Work = Callable[[Sequence[ItemT], Progress], Sequence[Mapping[str, Any]]]
"""What is done with a batch of cases: one mapping for each, in order. Its progress callback is to be called now and
then, so that the run can be stopped inside a batch."""

_PACKAGES = ("attention-prompting", "torch", "transformers", "open_clip_torch", "numpy", "pillow")


@dataclass(frozen=True)
class RunResult:
    """records: the line of every case that is done or failed now, in the order of the cases. skipped: done before."""

    records: tuple[Record, ...]
    skipped: int
    failed: int


def run_cases(
    cases: Sequence[ItemT],
    work: Work[ItemT],
    out: Path | None,
    *,
    settings: Mapping[str, Any],
    batch_size: int = 1,
    overwrite: bool = False,
    on_progress: Progress = ignore_progress,
) -> RunResult:
    """Do `work` for every case that `out` does not hold yet, and add its results there (None: keep them in memory).

    settings: everything that decides a result; they go on every line, and a file made with others is refused. A batch
    that fails is done again case by case; a case that fails by itself gets a line with `error` instead of a result, and
    is tried again by the next run. An exception from `on_progress`, which is called with the cases done and the cases
    there are, stops the run; what is done stays.
    """
    if batch_size < 1:
        raise InvalidInput(f"A batch holds at least one case, not {batch_size}.")
    watch = _Watch(on_progress, len(cases))
    with Journal(out, settings, overwrite=overwrite) as journal:
        waiting = [case for case in cases if not journal.holds(case)]
        skipped = len(cases) - len(waiting)
        watch.report(skipped)
        failed = 0
        for start in range(0, len(waiting), batch_size):
            group = waiting[start : start + batch_size]
            for case, outcome in zip(group, _outcomes(work, group, watch), strict=True):
                failed += "error" in outcome
                journal.add(case, {**outcome, "versions": versions()})
            watch.report(watch.done + len(group))
        return RunResult(tuple(journal.records[case.id] for case in cases), skipped, failed)


def select_range(cases: Sequence[QuestionCase], text: str) -> list[QuestionCase]:
    """The cases "A:B" of a list, A counted from 0 and B exclusive; either may be left out."""
    first, colon, last = text.partition(":")
    try:
        start, stop = int(first or 0), int(last) if last else len(cases)
    except ValueError:
        colon = ""
        start = stop = 0
    if not colon or start < 0 or stop < 0:
        raise InvalidInput(f"A range is A:B, from case A (counted from 0) up to, not including, B; not {text!r}.")
    chosen = list(cases[start:stop])
    if not chosen:
        raise InvalidInput(f"The range {text} holds none of the {len(cases)} cases.")
    return chosen


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


class _Watch:
    """The caller's callback, and whether it has asked to stop: its exception is told from a case's own failure."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self.done = 0
        self.stopped = False
        self._on_progress = on_progress
        self._total = total

    def report(self, done: int) -> None:
        self.done = done
        try:
            self._on_progress(done, self._total)
        except BaseException:
            self.stopped = True
            raise

    def inside(self, done: int, total: int) -> None:
        """The callback for work inside a batch, whose steps are not cases."""
        self.report(self.done)


def _outcomes(work: Work[ItemT], group: Sequence[ItemT], watch: _Watch) -> list[Mapping[str, Any]]:
    started = time.perf_counter()
    try:
        found = list(work(group, watch.inside))
        if len(found) != len(group):
            raise AttentionPromptingError(f"{len(group)} cases gave {len(found)} results.")
    except Exception as error:
        if watch.stopped:
            raise
        if len(group) > 1:
            log.debug("a batch of %d cases failed; each is done by itself", len(group), exc_info=True)
            return [outcome for case in group for outcome in _outcomes(work, [case], watch)]
        log.warning("case %s failed: %s", group[0].id, error)
        log.debug("case %s", group[0].id, exc_info=True)
        known = isinstance(error, AttentionPromptingError)
        message = " ".join(str(error).split())
        return [{"error": message if known and message else f"{type(error).__name__}: {message}"}]
    seconds = (time.perf_counter() - started) / len(group)
    return [{**outcome, "seconds": round(seconds, 4)} for outcome in found]
