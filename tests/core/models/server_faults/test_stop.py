"""Stop, and a failure elsewhere in the batch, close every connection promptly."""

import threading
import time
from typing import Any

import pytest
from pack.api_core.answering import ask
from pack.api_core.errors import Cancelled, ServerFailed
from pack.api_core.models.server import Limits
from pack.tests.core.models.server_faults.asking import PICTURE, STATUS, model_of
from pack.tests.servers.process import ServerProcess

pytestmark = pytest.mark.slow  # each waits for a server of its own, or for its silence


class _Stopper:
    """A progress callback that raises as soon as it is told to. at: when that was."""

    def __init__(self) -> None:
        self.now = threading.Event()
        self.at = 0.0

    def __call__(self, done: int, total: int) -> None:
        if self.now.is_set():
            raise Cancelled("stopped")

    def press_once_asked(self, server: ServerProcess, requests: int) -> None:
        """Half a second after the server has that many requests: before, there is no connection to close."""
        while len(server.requests) < requests:
            time.sleep(0.02)
        time.sleep(0.5)
        self.at = time.monotonic()
        self.now.set()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "silence", "seconds": 20},
        {"kind": "stall", "after": 2, "seconds": 20},
        {"kind": "pings"},
        {"kind": "none", "text": " ".join(["word"] * 2000), "delay": 0.01},
    ],
)
def test_stop_closes_the_connection_promptly(server: ServerProcess, fault: dict[str, Any]) -> None:
    server.misbehave(fault, fault)
    stop = _Stopper()
    threading.Thread(target=stop.press_once_asked, args=(server, 2), daemon=True).start()
    threads = threading.active_count()
    with pytest.raises(Cancelled):
        ask(model_of(server, limits=Limits()), PICTURE.expand(2, -1, -1, -1), "what is it?", on_progress=stop)
    stopped = time.time()
    assert time.monotonic() - stop.at < 1
    assert threading.active_count() <= threads + 1
    for _ in range(40):
        if len(server.log()["gone"]) == 2:
            break
        time.sleep(0.05)
    assert len(server.log()["gone"]) == 2
    assert max(server.log()["gone"]) - stopped < 1


def test_stop_ends_a_wait_between_attempts(server: ServerProcess) -> None:
    server.misbehave({**STATUS, "status": 429, "headers": {"Retry-After": "30"}})
    stop = _Stopper()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        ask(model_of(server, limits=Limits()), PICTURE, "x", on_progress=stop, on_notice=lambda _: stop.now.set())
    assert time.monotonic() - began < 1.5


def test_one_failure_of_a_batch_ends_the_others(server: ServerProcess) -> None:
    slow = {"kind": "stall", "after": 1, "seconds": 20}
    server.misbehave(slow, slow, {**STATUS, "status": 400})
    with pytest.raises(ServerFailed):
        ask(model_of(server, limits=Limits()), PICTURE.expand(3, -1, -1, -1), "what is it?")
    for _ in range(40):
        if len(server.log()["gone"]) == 2:
            break
        time.sleep(0.05)
    assert len(server.log()["gone"]) == 2
