"""A process that has the command line imported, does commands in processes of its own, and attacks them.

    python forking.py REPOSITORY

Each line of stdin is a JSON object: `command` (what follows `python -m api_core`), `attack` ("KILL", "INT", "fill" or
""), `after` (seconds from the start of the command until the attack), `disk` (the folder on the disk that is filled).
Each line of stdout is the answer: `code` (minus a signal's number), `seconds` in all, `late` (from the attack to the
end; null where the command had ended before), `out` and `err`. Importing everything takes longer than a command does.
"""

import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FILLER = "filler"
LIMIT = 120.0


def begin(command: list[str], out: int, err: int) -> int:
    """Start a command; its number."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from api_core.command_line import main

        code = main(command)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # to take all modules down takes longer than the command
    return pid


def ended(pid: int, until: float) -> int | None:
    """The exit code of a process once it has ended; None where it had not by then."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.002)


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    with contextlib.suppress(OSError), (disk / FILLER).open("ab", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def attacked(command: list[str], attack: str, after: float, disk: str) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        pid = begin(command, out.fileno(), err.fileno())
        code = ended(pid, began + (after if attack else LIMIT))
        late = None
        if code is None and attack:
            at = time.monotonic()
            if attack == "fill":
                fill(Path(disk))
            else:
                os.kill(pid, getattr(signal, f"SIG{attack}"))
            code, late = ended(pid, at + LIMIT), time.monotonic() - at
        if code is None:
            os.kill(pid, signal.SIGKILL)
            ended(pid, time.monotonic() + LIMIT)
        seconds = time.monotonic() - began
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode(errors="replace"))
    return {"code": code, "seconds": seconds, "late": late, "out": said[0], "err": said[1]}


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    import importlib

    from api_core.command_line import COMMANDS

    for name in COMMANDS:
        importlib.import_module(f"api_core.command_line.{name}")
    for name in ("open_clip", "transformers", "openai"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # what all processes share stays shared
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        wanted = json.loads(line)
        answer = attacked(wanted["command"], wanted["attack"], wanted["after"], wanted["disk"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
