"""A server process that misbehaves as it is told, and a watch: the key is shown nowhere, whatever a test does."""

import gc
import logging
from collections.abc import Iterator

import pytest
from pack.tests.core.models.server_faults.asking import KEY
from pack.tests.servers.process import ServerProcess, running


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running(key=KEY) as process:
        yield process


class Everything(logging.Handler):
    """Keeps all that is logged, written out with its tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{logging.Formatter().format(record)} {record.args!r}")


@pytest.fixture(autouse=True)
def nothing_shows_the_key(capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Whatever a test does: no log of any library at any level, and no output, holds the key."""
    root, kept = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept.lines
    gc.collect()
    root.removeHandler(kept)
    root.setLevel(level)
    written = capfd.readouterr()
    assert KEY not in written.out + written.err + "\n".join(kept.lines)
