"""Files of results that parts of one run wrote, put together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, shortened
from ...whole_file import whole_file
from ..cases import QuestionCase
from .file_lock import FileLock, require_free
from .results_file import Record, line_of, other_settings, read_results

_BESIDE = ("seconds", "versions")
"""What two results of one case need not have in common: how long it took, and what it was made with."""


@dataclass(frozen=True)
class Merged:
    """records: in the order of the cases, or as they were found. missing: cases without any. versions: how many sets of
    packages the results were made with."""

    records: tuple[Record, ...]
    missing: int
    versions: int

    @property
    def failed(self) -> int:
        """How many have no result but an error."""
        return sum("error" in record for record in self.records)


def merge_results(
    parts: Sequence[Path], out: Path, *, cases: Sequence[QuestionCase] | None = None, overwrite: bool = False
) -> Merged:
    """Write the results of all `parts` to `out`, and their pictures to its folder.

    cases: all that there should be, in their order. Raises InvalidInput for parts that are still being written, that
    were made with other settings, that have two different results of one case, or a result of none of the cases.
    """
    if out.resolve() in [part.resolve() for part in parts]:
        raise InvalidInput(f"{out} is one of the parts. Write to another file.")
    with FileLock(out):
        if out.exists() and not overwrite:
            raise InvalidInput(f"{out} exists. Add --overwrite to replace it, or write to another file.")
        for part in {part.resolve(): part for part in parts}.values():
            if not part.is_file():
                raise InvalidInput(f"There is no file {part}.")
            require_free(part)
        found = _together(parts)
        if cases is not None:
            found = _in_order(found, cases)
        for record, part in found.values():
            _bring_files(record, part, out)
        records = tuple(record for record, _ in found.values())
        with whole_file(out) as target, target.open("wb") as file:
            file.writelines(map(line_of, records))
            file.flush()
            os.fsync(file.fileno())
    sets = {tuple(sorted(record.get("versions", {}).items())) for record in records}
    return Merged(records, 0 if cases is None else len(cases) - len(records), len(sets))


def _together(parts: Sequence[Path]) -> dict[str, tuple[Record, Path]]:
    """The result of every case, and the file that it is from."""
    found: dict[str, tuple[Record, Path]] = {}
    first: tuple[Any, Path] | None = None
    for part in parts:
        for record in read_results(part, with_failed=True).values():
            first = first or (record["settings"], part)
            if record["settings"] != first[0]:
                differing = other_settings(first[0], record["settings"], str(first[1]), str(part))
                raise InvalidInput(
                    f"{part} was made with other settings ({differing}). Only parts of one run are merged."
                )
            known = found.get(record["id"])
            if known is None or ("error" in known[0] and "error" not in record):
                found[record["id"]] = (record, part)
            elif "error" not in record:
                _require_same(known, (record, part))
    return found


def _require_same(one: tuple[Record, Path], other: tuple[Record, Path]) -> None:
    first, second = one[0], other[0]
    names = [name for name in {**first, **second} if name not in _BESIDE and first.get(name) != second.get(name)]
    if names:
        raise InvalidInput(
            f"{one[1]} and {other[1]} have different results of {shortened(first['id'])!r} ({', '.join(names)}). One "
            "of them was made with something else: leave it out."
        )


def _in_order(
    found: Mapping[str, tuple[Record, Path]], cases: Sequence[QuestionCase]
) -> dict[str, tuple[Record, Path]]:
    known = {case.id: case for case in cases}
    for name, (record, part) in found.items():
        if name not in known or not known[name].has_fingerprint(record["case"]):
            raise InvalidInput(
                f"{part} has a result of {shortened(name)!r}, which is none of the cases as they are now."
            )
    return {case.id: found[case.id] for case in cases if case.id in found}


def _bring_files(record: Record, part: Path, out: Path) -> None:
    """Have the files of a record in the folder of `out`: as a second name for the same file, or as a copy."""
    for name in record.get("files", {}).values():
        source, target = part.with_suffix(".files") / Path(name).name, out.with_suffix(".files") / Path(name).name
        if not source.is_file():
            raise InvalidInput(f"{part} speaks of {source}, which is not there. Bring the folder along.")
        if target.exists() and os.path.samefile(source, target):
            continue
        with whole_file(target) as aside:
            try:
                os.link(source, aside)
            except OSError:  # another disk, or one without second names
                shutil.copyfile(source, aside)
