"""What the command line says: results on stdout, everything else on stderr, a progress bar where somebody watches."""

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from ..errors import AttentionPromptingError, CannotWrite
from ..writing import Writing
from .files import Job

BAR_WIDTH = 24


def say(line: str) -> None:
    """One line on stdout: what was asked for."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """One line on stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def one_line(said: BaseException | str) -> str:
    """A message, or an error's, without line breaks; the error's type where it has none."""
    return " ".join(str(said).split()) or type(said).__name__


class ProgressBar:
    """A bar on stderr, drawn only on a terminal; a context manager, and a progress callback of the library."""

    def __init__(self, what: str, shown: bool = True) -> None:
        self.what = what
        self.shown = shown and sys.stderr.isatty()
        self.started = time.monotonic()
        self.line = ""

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._draw("")

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` steps are done."""
        if not total:
            return
        filled = BAR_WIDTH * min(done, total) // total
        elapsed = time.monotonic() - self.started
        left = f", {_clock(elapsed / done * (total - done))} left" if 0 < done < total else ""
        self._draw(f"{self.what} [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {100 * done // total} %{left}")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while other lines are written."""
        shown = self.line
        self._draw("")
        yield
        self._draw(shown)

    def note(self, line: str) -> None:
        """Write one line to stderr without tearing the bar."""
        with self.aside():
            complain(line)

    def _draw(self, line: str) -> None:
        if self.shown and line != self.line:
            sys.stderr.write("\r" + line.ljust(len(self.line)) + ("" if line else "\r"))
            sys.stderr.flush()
        self.line = line


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def tally(count: int, failed: int, what: str) -> str:
    """How many are done, and how many failed, where some did."""
    return f"{count - failed} of {count} {what}" + (f", {failed} failed" if failed else "")


Steps = Generator[str, None, Callable[[], None] | None]
"""The work on one picture: yields its warnings; may return what writes its files, which is done beside the next."""


def do_each(jobs: Sequence[Job], work: Callable[[int, Job], Steps], bar: ProgressBar, done: str, debug: bool) -> int:
    """Do every job, and say what each warns of; returns how many failed, of which the bar says why. Stops where nothing
    more can be written. However it ends, what was computed is written first, and said to be once it is.

    done: what has become of those that did not fail, said of several.
    """
    failed = 0
    written: deque[tuple[Job, Future[None]]] = deque()

    def tell(job: Job, error: Exception) -> None:
        nonlocal failed
        if isinstance(error, CannotWrite) and error.everywhere:
            raise error
        failed += 1  # what is wrong with one picture need not be with the next
        kind = "" if isinstance(error, AttentionPromptingError) else f"{type(error).__name__}: "
        bar.note(f"failed: {job.source}: {kind}{one_line(error)}")
        if debug:
            bar.note("".join(traceback.format_exception(error)))

    def say_written(wait: bool) -> None:
        while written and (wait or written[0][1].done()):
            job, future = written.popleft()
            error = future.exception()
            if isinstance(error, Exception):
                tell(job, error)
            else:
                with bar.aside():
                    say(str(job.picture))

    def begin(number: int, job: Job, writing: Writing) -> None:
        try:
            write = _warn_of(job, work(number, job), bar)
        except Exception as error:  # noqa: BLE001 - told
            tell(job, error)
        else:
            if write is not None:
                written.append((job, writing.submit(write)))

    with Writing() as writing:
        try:
            for number, job in enumerate(jobs):
                begin(number, job, writing)
                say_written(wait=False)
        finally:
            say_written(wait=True)
    if len(jobs) > 1:
        with bar.aside():
            say(tally(len(jobs), failed, done))
    return failed


def _warn_of(job: Job, steps: Steps, bar: ProgressBar) -> Callable[[], None] | None:
    """Do one job, and say its warnings."""
    write: Callable[[], None] | None = None

    def warnings() -> Iterator[str]:
        nonlocal write
        write = yield from steps

    for warning in warnings():
        bar.note(f"warning: {job.source}: {one_line(warning)}")
    return write
