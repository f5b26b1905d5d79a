"""What was proven of an environment, kept in it, and whether that is still what lies there: told in milliseconds."""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from proof import DISTRIBUTIONS

NAME = "proven.json"
_COMPILED = re.compile(r"\.(so(\.\d+)*|pyd|dll|dylib)$")


@dataclass
class Stamp:
    """A proven environment.

    place: its folder, which its scripts name. python: what it was made with. entries: the names in site-packages; each
    distribution's has its version in it. files: the size of every compiled file there, and of all code that the proof
    stands on, by path. asked: by extra, what was asked for.
    """

    place: str
    python: str
    entries: list[str]
    files: dict[str, int]
    asked: dict[str, str] = field(default_factory=dict)


def site_packages(environment: Path) -> Path:
    found = [*environment.glob("lib/python3*/site-packages"), environment / "Lib" / "site-packages"]
    return found[0]


def look(environment: Path) -> Stamp:
    """The environment as it is now: seconds."""
    site = site_packages(environment)
    files = {}
    for folder, _, names in os.walk(site):
        inside = Path(folder).relative_to(site)
        proven = inside.parts[:1] and inside.parts[0] in DISTRIBUTIONS
        for name in names:
            if _COMPILED.search(name) or (proven and name.endswith(".py")):
                files[(inside / name).as_posix()] = (site / inside / name).stat().st_size
    return Stamp(str(environment), python_of(environment), entries_of(site), files)


def entries_of(site: Path) -> list[str]:
    names = os.listdir(site) if site.is_dir() else []
    return sorted(name for name in names if name != "__pycache__" and not name.startswith("~"))  # ~: pip's leftovers


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
    now = entries_of(site_packages(environment))
    return stamp.python != python_of(environment) or distributions(stamp.entries) != distributions(now)


def distributions(entries: list[str]) -> list[str]:
    return [entry for entry in entries if entry.endswith(".dist-info")]


def damaged(environment: Path, stamp: Stamp) -> list[str]:
    """What is gone or of another size though the same distributions are installed."""
    if changed(environment, stamp):
        return []
    site = site_packages(environment)
    gone = sorted(set(stamp.entries) - set(entries_of(site)))
    return gone + [path for path, size in stamp.files.items() if not _has_size(site / path, size)]


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
    """The distributions, as name==version, whose own lists have one of these files or folders."""
    sought, found = set(paths), []
    for record in site_packages(environment).glob("*.dist-info/RECORD"):
        with record.open(encoding="utf-8", newline="") as file:
            listed = {row[0] for row in csv.reader(file) if row}
        if sought & (listed | {path.split("/")[0] for path in listed}):
            found.append(record.parent.name[: -len(".dist-info")].replace("-", "==", 1))
    return sorted(found)
