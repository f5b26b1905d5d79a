"""What the command line says: results on stdout, everything else on stderr, a progress bar where somebody watches."""

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import AttentionPromptingError, CannotWrite
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


def do_each(
    jobs: Sequence[Job], work: Callable[[int, Job], Iterable[str]], bar: ProgressBar, done: str, debug: bool
) -> int:
    """Do every job, and say what each warns of; returns how many failed, of which the bar says why. Stops where nothing
    more can be written.

    done: what has become of those that did not fail, said of several.
    """

    def fails(number: int, job: Job) -> bool:
        try:
            for warning in work(number, job):
                bar.note(f"warning: {job.source}: {one_line(warning)}")
        except Exception as error:
            if isinstance(error, CannotWrite) and error.everywhere:
                raise
            # Anything else that is wrong with one picture need not be with the next.
            kind = "" if isinstance(error, AttentionPromptingError) else f"{type(error).__name__}: "
            bar.note(f"failed: {job.source}: {kind}{one_line(error)}")
            if debug:
                bar.note(traceback.format_exc())
            return True
        return False

    failed = sum(fails(number, job) for number, job in enumerate(jobs))
    if len(jobs) > 1:
        with bar.aside():
            say(tally(len(jobs), failed, done))
    return failed
