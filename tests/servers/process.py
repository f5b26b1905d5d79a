"""Start the chat server in a process of its own, tell it how to misbehave, and read what it saw."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("chat_server.py")


class ServerProcess:
    """The running server. address: what a profile takes."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.address = f"{self.root}/v1"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def misbehave(self, *faults: dict[str, Any]) -> None:
        """Forget what was seen; the next chat requests use up these faults in order."""
        self._open(f"{self.root}/control/faults", data=json.dumps(faults).encode(), timeout=10).read()

    def log(self) -> dict[str, Any]:
        return dict(json.loads(self._open(f"{self.root}/control/log", timeout=10).read()))

    @property
    def requests(self) -> list[dict[str, Any]]:
        return list(self.log()["requests"])


@contextlib.contextmanager
def running(*, key: str = "", model: str | Path = "") -> Iterator[ServerProcess]:
    """A server process, which ends with the block."""
    command = [sys.executable, str(SCRIPT), "--key", key, "--model", str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield ServerProcess(int(process.stdout.readline()))
        finally:
            process.kill()
