"""An official program of a data set, and how it is run: what `scorers.py` and the programs' own modules share."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api_core.evaluation.cases import QuestionCase
from api_core.evaluation.official.data_set import Source
from api_core.evaluation.official.registry import find_data_set
from tests.core.fixtures.official_scores import StubTaggers, case_of
from tools.parity.made_answers import Made


def stub_taggers(folder: Path, made: Made) -> dict[str, Any]:
    return {"taggers": StubTaggers()}


@dataclass(frozen=True)
class Scorer:
    """One official program. files: what of its repository it needs. make: makes answers, as many as told. run: gets a
    folder with the files and the made answers, runs the program, and gives its figures by the names of our rows.
    resources: what our rule is handed, from that folder; called after `run`.
    """

    name: str
    data_set: str
    rule: str
    repository: str
    files: tuple[str, ...]
    make: Callable[[random.Random, int], Made]
    run: Callable[[Path, Made], dict[str, float]]
    resources: Callable[[Path, Made], dict[str, Any]] = stub_taggers


def cases_of(made: Made) -> list[QuestionCase]:
    return [case_of(QuestionCase, line) for line in made.cases]


def export(made: Made, folder: Path, name: str) -> Path:
    """What `export` writes of the made answers: the official program's input."""
    find_data_set(made.data_set).export(cases_of(made), made.answers, folder / name)
    return folder / name


def printed_by(folder: Path, *command: str, modules: Path | None = None, said: str = "", **environment: str) -> str:
    """What a Python program prints that runs in a folder. modules: a folder whose modules it may import, before those
    of this process's PYTHONPATH. said: what it reads from its standard input.
    """
    path = os.pathsep.join(one for one in (str(modules or ""), os.environ.get("PYTHONPATH", "")) if one)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": path, **environment},
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_lines(path: Path, entries: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def require_read(made: Made, folder: Path) -> None:
    """Stop unless our reader makes the made cases of the official files in a folder."""
    data_set = find_data_set(made.data_set)
    first = [next(iter(names)) for names in (data_set.counts, data_set.wordings)]
    read = list(data_set.read(Source(folder, *first, folder, folder / "extracted")))
    for line, case in zip(made.cases, read, strict=True):
        found = case.to_json()
        apart = {name: (value, found.get(name)) for name, value in line.items() if found.get(name) != value}
        if apart:
            raise SystemExit(f"{line['id']} is read otherwise: {apart}")


def require_same(what: str, official: Any, ours: Any) -> None:
    """Stop where something beside the figures is not the same."""
    if official != ours:
        raise SystemExit(f"{what}: {str(official)[:500]} there, {str(ours)[:500]} here")
