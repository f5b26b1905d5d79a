"""A file of results that survives its program: JSONL, one line a case, added one by one and picked up again later.

Every line says which case it is of, a digest of that case, and all settings. A file is only ever added to by the same
settings, and by one process at a time; what a torn write, a crash or a failed case left behind is dropped when it is
opened again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from glob import escape
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import InvalidInput, shortened
from ...whole_file import whole_file, written_to
from ..cases import QuestionCase
from .file_lock import FileLock

Record = dict[str, Any]

# A crash of the machine (not of the program) loses at most this many seconds of work.
_SYNC_SECONDS = 5.0


class Journal:
    """The results in `path`, or in memory only where that is None. A context manager: what is there is read when it is
    entered, and until its end no other process gets in. `add` writes through at once."""

    def __init__(self, path: Path | None, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.records: dict[str, Record] = {}
        self._overwrite = overwrite
        self._lock: FileLock | None = None
        self._file: FileIO | None = None
        self._synced = time.monotonic()
        self._opened = ExitStack()

    def __enter__(self) -> Journal:
        if self.path is None:
            return self
        with ExitStack() as stack:
            self._lock = stack.enter_context(FileLock(self.path))
            if self.path.exists() and not self._overwrite:
                self.records = read_results(self.path, self._require_same_settings)
            with written_to(self.path):
                self._write_whole(self.path)
                self._file = stack.enter_context(FileIO(self.path, "ab"))
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:
            if self._file is not None and self.path is not None:
                with written_to(self.path):
                    self._sync(self._file)
            self._file = None

    def holds(self, case: QuestionCase) -> bool:
        """Whether `case` is done. Raises InvalidInput when the file has another case under its id."""
        record = self.records.get(case.id)
        if record is None:
            return False
        if not case.has_fingerprint(record["case"]):
            moved = "" if "." in record["case"] else " (or, as this file is of an earlier version, was elsewhere)"
            raise InvalidInput(
                f"{self.path} has a result of {case.id!r}, but that case or its picture has changed since{moved}. "
                "Write to a new file, or start this one afresh (--overwrite)."
            )
        return True

    def add(self, case: QuestionCase, outcome: Mapping[str, Any]) -> Record:
        """Write one case's line and return it."""
        about = {"id": case.id, "case": case.fingerprint}
        try:
            line = line_of({**about, **outcome, "settings": self.settings})
        except ValueError:
            line = line_of(
                {**about, "error": "the result holds a number that is not finite", "settings": self.settings}
            )
        if self._file is not None and self.path is not None and self._lock is not None:
            self._lock.require_held()
            with written_to(self.path):
                self._append(self._file, line)
        self.records[case.id] = json.loads(line)
        return self.records[case.id]

    def _append(self, file: FileIO, line: bytes) -> None:
        """Write the whole line, or none of it: what a full disk took of it is given back."""
        end = file.seek(0, os.SEEK_END)
        try:
            left = memoryview(line)
            while left:
                left = left[file.write(left) :]
        except OSError:
            with suppress(OSError):
                file.truncate(end)
            raise
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync(file)

    def _sync(self, file: FileIO) -> None:
        os.fsync(file.fileno())
        self._synced = time.monotonic()

    def _require_same_settings(self, found: object) -> None:
        if found == self.settings:
            return
        shown = other_settings(found, self.settings, "there", "now")
        raise InvalidInput(
            f"{self.path} was made with other settings ({shown}). Results of different settings are not mixed: write "
            "to a new file, or start this one afresh (--overwrite)."
        )

    def _write_whole(self, path: Path) -> None:
        """Bring the file to what was taken up, in one step, and only where it is not that already."""
        for left_by_a_kill in path.parent.glob(f".{escape(path.name)}.*.part"):
            left_by_a_kill.unlink(missing_ok=True)
        content = b"".join(map(line_of, self.records.values()))
        if path.exists() and path.read_bytes() == content:
            return
        with whole_file(path) as part, part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def read_results(
    path: Path, require_settings: Callable[[object], None] = lambda found: None, *, with_failed: bool = False
) -> dict[str, Record]:
    """The results in a file by their ids, the last of each. require_settings: raises for settings that do not fit.

    Forgotten, so that they are tried again: failed cases (unless `with_failed`), a last line that was torn, and lines
    with the NULs that a crash of the machine leaves behind.
    """
    try:
        *lines, rest = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error
    records: dict[str, Record] = {}
    for number, text in enumerate([*lines, rest], 1):
        written = text.replace(b"\0", b"")
        if not written.strip():
            continue
        try:
            record = json.loads(written)
        except (ValueError, RecursionError) as error:
            if number > len(lines) or written != text:
                continue
            raise InvalidInput(f"{path}, line {number} is no JSON: is this a file of results?") from error
        if not _is_result(record):
            raise InvalidInput(f"{path}, line {number} is no result of a case. Choose another file.")
        require_settings(record["settings"])
        if with_failed or "error" not in record:
            records[record["id"]] = record
    return records


def other_settings(one: object, other: object, called: str, others_called: str) -> str:
    """How two settings differ, for people: the first few names, with both values."""
    first, second = (found if isinstance(found, dict) else {} for found in (one, other))
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return "; ".join(
        f"{name}: {shortened(repr(first.get(name)))} {called}, {shortened(repr(second.get(name)))} {others_called}"
        for name in names[:6]
    )


def _is_result(record: object) -> bool:
    texts = ("id", "case")
    return isinstance(record, dict) and "settings" in record and all(isinstance(record.get(t), str) for t in texts)


def line_of(record: Mapping[str, Any]) -> bytes:
    """A record as it stands in a file. Raises ValueError for numbers that JSON does not have."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"
