"""What was proven of an environment, kept in it, and whether that is still what lies there: told in milliseconds."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

NAME = "proven.json"
_LIBRARY = re.compile(r"\.(so(\.\d+)*|pyd|dll|dylib)$")


@dataclass
class Stamp:
    """A proven environment.

    place: its folder, which its scripts name. python: what it was made with. asked: by extra, what was asked for.
    entries: the names in site-packages; each distribution's has its version in it. libraries: the size of every
    compiled one there, by path.
    """

    place: str
    python: str
    entries: list[str]
    libraries: dict[str, int]
    asked: dict[str, str] = field(default_factory=dict)


def site_packages(environment: Path) -> Path:
    found = [*environment.glob("lib/python3*/site-packages"), environment / "Lib" / "site-packages"]
    return found[0]


def look(environment: Path) -> Stamp:
    """The environment as it is now, in every file that is compiled: seconds."""
    site = site_packages(environment)
    libraries = {
        (Path(folder) / file).relative_to(site).as_posix(): (Path(folder) / file).stat().st_size
        for folder, _, files in os.walk(site)
        for file in files
        if _LIBRARY.search(file)
    }
    return Stamp(str(environment), python_of(environment), entries_of(site), libraries)


def entries_of(site: Path) -> list[str]:
    return sorted(set(os.listdir(site)) - {"__pycache__"}) if site.is_dir() else []


def python_of(environment: Path) -> str:
    file = environment / "pyvenv.cfg"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def write(environment: Path, stamp: Stamp) -> None:
    (environment / NAME).write_text(json.dumps(asdict(stamp), indent=0), encoding="utf-8")


def read(environment: Path) -> Stamp | None:
    """The stamp in an environment; None where there is none that can be read."""
    try:
        return Stamp(**json.loads((environment / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def changed(environment: Path, stamp: Stamp) -> bool:
    """Whether distributions came, went or changed their version since, or another Python took the place."""
    return (stamp.python, stamp.entries) != (python_of(environment), entries_of(site_packages(environment)))


def damaged(environment: Path, stamp: Stamp) -> list[str]:
    """The compiled files that are gone or of another size."""
    site = site_packages(environment)
    return [path for path, size in stamp.libraries.items() if not _has_size(site / path, size)]


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def version_of(entries: list[str], distribution: str) -> str | None:
    """The version of a distribution among the entries of site-packages."""
    start = f"{distribution}-"
    for entry in entries:
        if entry.startswith(start) and entry.endswith(".dist-info"):
            return entry[len(start) : -len(".dist-info")]
    return None


def owners(environment: Path, paths: list[str]) -> list[str]:
    """The distributions, as name==version, whose own lists have one of these files."""
    return sorted(name for name, files in _lists(site_packages(environment)) if files & set(paths))


def _lists(site: Path) -> Iterator[tuple[str, set[str]]]:
    for record in site.glob("*.dist-info/RECORD"):
        with record.open(encoding="utf-8", newline="") as file:
            files = {row[0] for row in csv.reader(file) if row}
        yield record.parent.name[: -len(".dist-info")].replace("-", "==", 1), files
