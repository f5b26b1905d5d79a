"""How long work reports itself, and how it is stopped.

A progress callback is called with the steps done and the steps there are, between units of work. Raising from it stops
the work: the command line raises `Cancelled`, a host its own exception, and nothing here swallows either.
"""

from collections.abc import Callable

Progress = Callable[[int, int], None]


def ignore_progress(done: int, total: int) -> None:
    """The default callback: work in silence."""


def share_of(on_progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the work that goes from `start` to `end` of it (0..1), in thousandths of the whole."""

    def report(done: int, total: int) -> None:
        on_progress(round(1000 * (start + (end - start) * done / max(total, 1))), 1000)

    return report
