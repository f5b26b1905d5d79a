"""One process at a time adds to a file: a lock that says whose it is, and that a dead process does not keep.

Beside the file lies `.<name>.lock`. The system locks it for as long as the process lives, and it holds who that is.
Some network folders lock for one machine only, or not at all: so the owner also touches the lock every few seconds, and
where the system's word does not reach, another process watches for that before it takes a lock over.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, shortened
from ...whole_file import written_to

log = logging.getLogger(__name__)

_BEAT = 4.0
"""Seconds between two signs of life."""
_WATCH = 5 * _BEAT
"""Seconds without one after which an owner on another machine is taken for dead."""
_SETTLE = 1.0
"""Seconds after which of two who took the same dead owner's place one has it."""
_NAMING = 0.05
"""Seconds between two looks at a lock that is there and says no name yet; up to a second in all."""
_FAR = 1 << 20  # Windows locks bytes, and nobody else can read those: one behind all there is


class FileLock:
    """A context manager: inside, no other process that asks for it has the lock of `target`.

    Raises InvalidInput, which names the owner, where another one has it.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = lock_of(target)
        here = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().isoformat(" ", "seconds")}
        self._own: dict[str, Any] = {**here, "token": uuid.uuid4().hex}
        self._descriptor = -1
        self._heard = 0.0
        self._lost = ""
        self._patience = 1.0
        self._ended = threading.Event()

    def __enter__(self) -> FileLock:
        if self._target.is_dir():
            raise InvalidInput(
                f"{self._target} is a folder. Results go to a file, such as {self._target / 'results.jsonl'}."
            )
        with written_to(self._target):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._claim()
        self._heard = time.monotonic()
        threading.Thread(target=self._live, name=f"lock of {self._target.name}", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._look()
        if not self._lost and os.name != "nt":  # before the lock goes, so that it is never another's
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        if not self._lost and os.name == "nt":  # which removes no file that is open
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def require_held(self) -> None:
        """Raise InvalidInput where another process has taken the lock over meanwhile."""
        if time.monotonic() - self._heard > 2 * _BEAT:  # this process was stopped for a while: it may look dead
            self._look()
        if self._lost:
            raise InvalidInput(self._lost)

    def _claim(self) -> int:
        """The descriptor of the lock, once it is this process's own."""
        while True:
            try:
                descriptor, new = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
            except FileExistsError:
                try:
                    descriptor, new = os.open(self._path, os.O_RDWR), False
                except FileNotFoundError:  # its owner has just gone
                    continue
            taken = False
            try:
                taken = self._take(descriptor, new)
            except FileNotFoundError:  # removed meanwhile
                continue
            finally:
                if not taken:
                    os.close(descriptor)
            if taken:
                return descriptor

    def _take(self, descriptor: int, new: bool) -> bool:
        """Whether the open lock is now this process's; False where that has to be tried again. new: made just now."""
        try:
            system_locks = self._lock(descriptor)
        except BlockingIOError:
            self._refuse_once_named()
            return False
        if os.fstat(descriptor).st_ino != os.stat(self._path).st_ino:
            return False
        owner = None if new else _read(self._path)
        if owner is None and not new and self._patience > 0:
            self._wait_for_a_name()
            return False
        unsure = not new and not (system_locks and owner and owner.get("host") == self._own["host"])
        if unsure:
            self._watch(owner)
        self._sign_in(descriptor)
        if unsure:
            time.sleep(_SETTLE)
            owner = _read(self._path)
            if owner is None or owner.get("token") != self._own["token"]:
                raise self._refusal(owner)
        return True

    def _sign_in(self, descriptor: int) -> None:
        """Write down whose the lock is; where a full disk has no room for that, no nameless lock stays behind."""
        said = json.dumps(self._own).encode() + b"\n"
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.ftruncate(descriptor, 0)
            if os.write(descriptor, said) < len(said):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                self._path.unlink()
            raise

    def _lock(self, descriptor: int) -> bool:
        """Have the system lock it: False where it cannot. BlockingIOError where it is another's."""
        try:
            _lock_file(descriptor)
        except BlockingIOError:
            raise
        except OSError as error:
            log.warning(
                "The folder of %s cannot lock files (%s): another process there is told by signs of life alone.",
                self._target,
                error.strerror,
            )
            return False
        return True

    def _refuse_once_named(self) -> None:
        """Another has it: refuse, but give one that has only just come the time to write down who it is."""
        owner = _read(self._path)
        if owner is not None or self._patience <= 0:
            raise self._refusal(owner)
        self._wait_for_a_name()

    def _wait_for_a_name(self) -> None:
        self._patience -= _NAMING
        time.sleep(_NAMING)

    def _watch(self, owner: dict[str, Any] | None) -> None:
        """Wait whether an owner, of whom the system does not know, gives a sign of life; refuse where it does."""
        before = _sign(self._path)
        log.warning("%s was last written by %s; seeing whether it still is …", self._target, _said(owner))
        end = time.monotonic() + _WATCH
        while time.monotonic() < end:
            time.sleep(min(0.5, _BEAT / 4))
            if _sign(self._path) != before:
                raise self._refusal(_read(self._path))

    def _refusal(self, owner: dict[str, Any] | None) -> InvalidInput:
        return InvalidInput(
            f"{self._target} is being written by another process: {_said(owner)}. Wait for it, stop it, or write to "
            "another file."
        )

    def _live(self) -> None:
        """Give signs of life until the end, or until the lock is another's."""
        while not self._ended.wait(_BEAT) and not self._lost:
            self._look()

    def _look(self) -> None:
        """See whether the lock is still this process's, and give a sign of life."""
        try:
            owner = _read(self._path)
            if owner is None or owner.get("token") != self._own["token"]:
                self._lost = (
                    f"The lock of {self._target} was taken away, now: {_said(owner)}. Stopped, so that no line is "
                    "lost; what is done stays."
                )
                return
            os.utime(self._path)
            self._heard = time.monotonic()
        except FileNotFoundError:
            if not self._ended.is_set():
                self._lost = f"The lock of {self._target} was removed ({self._path.name}). Stopped; what is done stays."
        except OSError as error:  # a network that is away for a moment
            log.debug("no sign of life at %s: %s", self._path, error)


def lock_of(target: Path) -> Path:
    """Where the lock of a file lies."""
    real = target.resolve()
    return real.with_name(f".{real.name}.lock")


def require_free(target: Path) -> None:
    """Raise as a FileLock would, before somebody works for a file that another process writes."""
    if target.is_dir() or lock_of(target).exists():
        with FileLock(target):
            pass


def _read(path: Path) -> dict[str, Any] | None:
    """Who a lock says it belongs to, read anew: another machine's copy of an open file may be old. None: nobody yet."""
    try:
        owner = json.loads(path.read_bytes()[:4096])
    except (ValueError, RecursionError):
        return None
    return owner if isinstance(owner, dict) else None


def _sign(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns, file.read(4096)


def _said(owner: dict[str, Any] | None) -> str:
    if owner is None:
        return "one that has not said its name"
    pid, host, since = (shortened(owner.get(name, "?")) for name in ("pid", "host", "since"))
    return f"process {pid} on {host}, since {since}"


def _lock_file(descriptor: int) -> None:
    """BlockingIOError where another has it; another OSError where this place has no locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
