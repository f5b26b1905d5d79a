"""A file of results that survives its program: JSONL, one line a case, added one by one and picked up again later.

Every line says which case it is of, a digest of that case, and all settings. A file is only ever added to by the same
settings; what a torn write or a failed case left behind is dropped when it is opened again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from ...errors import InvalidInput
from ...whole_file import whole_file

Record = dict[str, Any]


class Item(Protocol):
    """What a line is about: a case, or whatever else has an id and a digest that tells whether it is still the same."""

    @property
    def id(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...


# A crash of the machine (not of the program) loses at most this many seconds of work.
_SYNC_SECONDS = 5.0


class Journal:
    """The results in `path`, or in memory only where that is None. A context manager; `add` writes through at once."""

    def __init__(self, path: Path | None, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.records: dict[str, Record] = {}
        self._file: IO[bytes] | None = None
        self._synced = time.monotonic()
        if path is not None and path.exists() and not overwrite:
            self._take_up(path)

    def __enter__(self) -> Journal:
        if self.path is not None:
            self._write_whole(self.path)
            self._file = self.path.open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._sync(self._file)
            self._file.close()
            self._file = None

    def holds(self, case: Item) -> bool:
        """Whether `case` is done. Raises InvalidInput when the file has another case under its id."""
        record = self.records.get(case.id)
        if record is None:
            return False
        if record["case"] != case.fingerprint:
            raise InvalidInput(
                f"{self.path} has a result of {case.id!r}, but that case has changed since. Write to a new file, or "
                "start this one afresh (--overwrite)."
            )
        return True

    def add(self, case: Item, outcome: Mapping[str, Any]) -> Record:
        """Write one case's line and return it."""
        record = {"id": case.id, "case": case.fingerprint, **outcome, "settings": self.settings}
        line = _line(record)
        self.records[case.id] = json.loads(line)
        if self._file is not None:
            self._file.write(line)
            self._file.flush()
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                self._sync(self._file)
        return self.records[case.id]

    def _sync(self, file: IO[bytes]) -> None:
        file.flush()
        os.fsync(file.fileno())
        self._synced = time.monotonic()

    def _take_up(self, path: Path) -> None:
        """Read what is there; a last line that was torn is forgotten, and so are failed cases, to be tried again."""
        *lines, rest = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
        for number, text in enumerate([*lines, rest], 1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except ValueError as error:
                if number > len(lines):
                    continue
                raise InvalidInput(f"{path}, line {number} is no JSON: is this a file of results?") from error
            if not isinstance(record, dict) or not {"id", "case", "settings"} <= set(record):
                raise InvalidInput(f"{path}, line {number} is no result of a case. Choose another file.")
            self._require_same_settings(path, record["settings"])
            if "error" not in record:
                self.records[record["id"]] = record

    def _require_same_settings(self, path: Path, found: object) -> None:
        if found == self.settings:
            return
        there = found if isinstance(found, dict) else {}
        names = [name for name in {**there, **self.settings} if there.get(name) != self.settings.get(name)]
        shown = "; ".join(f"{name}: {there.get(name)!r} there, {self.settings.get(name)!r} now" for name in names[:6])
        raise InvalidInput(
            f"{path} was made with other settings ({shown}). Results of different settings are not mixed: write to a "
            "new file, or start this one afresh (--overwrite)."
        )

    def _write_whole(self, path: Path) -> None:
        """Bring the file to what was taken up, in one step, and only where it is not that already."""
        content = b"".join(map(_line, self.records.values()))
        if path.exists() and path.read_bytes() == content:
            return
        with whole_file(path) as part, part.open("wb") as file:
            file.write(content)
            self._sync(file)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"
