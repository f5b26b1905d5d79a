"""Run a command that says hundreds of lines: they go to a log, the terminal gets what it is at and for how long."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

BETWEEN_LINES = 15.0
"""Seconds between lines about a long step where nobody watches a terminal."""
EXCERPT_LINES = 12
# pip's words of what it is at: a file by its name, of a path or an address its last part.
_AT = re.compile(r"^\s*(Collecting|Downloading|Using cached|Processing|Building wheel for|Installing collected)\b")
_FILE = re.compile(r"([^\s/\\]+)\.(whl|tar\.gz|zip)\S*(?: \(([^)]+)\))?$")
_BYTES = re.compile(r"^Progress (\d+) of (\d+)$")


def say(message: str) -> None:
    print(f"[setup] {message}", flush=True)


class CommandFailed(Exception):
    """A command ended badly; the message is the few lines of its output that say why. output: all of it."""

    def __init__(self, output: str) -> None:
        super().__init__(excerpt(output))
        self.output = output


def excerpt(output: str) -> str:
    """The lines that matter: from the first that reports an error, else the last ones; the middle of many left out."""
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("[notice]")]
    first = next((i for i, line in enumerate(lines) if re.match(r"\s*(ERROR|error|fatal|E:)", line)), None)
    if first is None:
        return "\n".join(lines[-EXCERPT_LINES:])
    told = lines[first:]
    advice = next((i for i, line in enumerate(told) if line.startswith("To fix this")), len(told))  # pip's, of no use
    told = told[:advice]
    if len(told) > EXCERPT_LINES:
        told = [*told[: EXCERPT_LINES - 4], "...", *told[-3:]]
    return "\n".join(told)


class Reporter:
    """What a command is at, from its lines, and for how long: on a terminal one line that changes, else one now and
    then."""

    def __init__(self, folder: Path) -> None:
        """folder: on the disk that fills up."""
        self.at = "starting"
        self.began = time.monotonic()
        self._live = sys.stdout.isatty()
        self._folder = folder
        self._used = shutil.disk_usage(folder).used

    def hear(self, line: str) -> bool:
        """Take in a line of the command; whether it belongs in the log."""
        progress = _BYTES.match(line)
        if progress:
            done, total = (int(number) / 1e6 for number in progress.groups())
            self.at = f"{re.sub(r'( [(]|:).*', '', self.at)}: {done:.0f} of {total:.0f} MB"
            return False
        if _AT.match(line):
            self.at = shown(line)
        return True

    def tell_until(self, done: threading.Event) -> None:
        while not done.wait(0.5 if self._live else BETWEEN_LINES):
            seconds = int(time.monotonic() - self.began)
            line = f"[setup]   {seconds // 60}:{seconds % 60:02d}  {self.at}{self.written()}"
            if self._live:
                width = shutil.get_terminal_size().columns - 1
                print("\r" + line[:width].ljust(width), end="", flush=True)
            else:
                print(line, flush=True)
        if self._live:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", flush=True)

    def written(self) -> str:
        """While pip unpacks, which it says nothing of: by how much the disk filled up."""
        grown = (shutil.disk_usage(self._folder).used - self._used) / 1e9
        return f", {grown:.1f} GB written" if self.at.startswith("installing") and grown > 0.05 else ""


def shown(line: str) -> str:
    """pip's line about a file or about many packages, short enough to be read."""
    word = "using cached" if "Using cached" in line else line.split()[0].lower()
    if word == "installing":
        return f"installing {line.count(',') + 1} packages"
    what = line.split(" (from ")[0].strip()
    file = _FILE.search(what)
    if file:
        name = "-".join(file[1].split("-")[:2])
        return f"{word} {name}" + (f" ({file[3]})" if file[3] else "")
    return what[:80]


def run_logged(
    command: Sequence[str],
    log: Path,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run it to the end with a reporter; its output, which is also at the end of the log. Raises CommandFailed."""
    reporter, done, heard = Reporter(log.parent), threading.Event(), []
    surroundings = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **(environment or {})}
    process = subprocess.Popen(
        list(command),
        cwd=cwd,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    telling = threading.Thread(target=reporter.tell_until, args=(done,), daemon=True)
    late = threading.Timer(timeout or 0, process.kill)
    try:
        telling.start()
        if timeout:
            late.start()
        with log.open("a", encoding="utf-8") as file:
            file.write(f"\n$ {' '.join(command)}\n")
            for line in process.stdout or ():
                if reporter.hear(line.rstrip("\n")):
                    heard.append(line)
                    file.write(line)
        code = process.wait()
    finally:
        process.kill()  # a Ctrl-C leaves nothing behind that still writes
        late.cancel()
        done.set()
        telling.join()
    if code:
        if timeout and time.monotonic() - reporter.began >= timeout:
            heard.append(f"ERROR: stopped after {timeout:.0f} s")
        raise CommandFailed("".join(heard))
    return "".join(heard)
