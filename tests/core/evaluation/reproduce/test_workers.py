"""`reproduce --workers`: the journals and the table of one process, also where a worker is killed, or it is stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pack.tests.core.evaluation.reproduce.test_reproduce import TINY, journals, lines_of, reproduce
from pack.tests.core.evaluation.test_scale import needs_ray

ROOT = Path(__file__).resolve().parents[4]
QUICK = ("--quick", "20", "--batch-size", "2")
WORKERS = ("--workers", "2")
pytestmark = [pytest.mark.slow, needs_ray]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Rows that are drawn, prompted and explained; the last take a while."""
    explain = {"method": "igos+ (paper)", "set": ["side=4", "shares=2", "steps=6"], "steps": 4}
    arms = {
        "drawn": {"settings": {"map": "none", "temperature": 1}},
        "clip": {"settings": {"contrast": 5}},
        "igos": {"explain": explain},
    }
    asked = {"set": "pope", "arms": ["drawn", "clip"], "figures": ["coco mean accuracy"]}
    explained = {"set": "pope", "split": "gqa", "arms": ["igos"], "figures": ["deletion", "insertion"]}
    whole = {"settings": {"max-new-tokens": 4}, "arms": arms, "models": {TINY: {}}, "sets": [asked, explained]}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(whole))
    return path


def start(plan: Path, data: Path, out: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "api_core", "reproduce", str(plan), "--data", str(data), "--out", str(out)]
    command += ["--device", "cpu", *QUICK, *WORKERS, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=out.parent)


def finished(process: "subprocess.Popen[str]") -> str:
    try:
        said, errors = process.communicate(timeout=800)
    finally:
        process.kill()  # where it hangs
    assert process.returncode == 0, errors
    return said


def test_workers_give_the_journals_and_the_table_of_one_process(plan: Path, data: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert reproduce(plan, data, here, *QUICK) == 0
    said = finished(start(plan, data, there))
    assert in_any_order(here) == in_any_order(there)
    assert [len(lines) for lines in in_any_order(here).values()] == [9, 9, 9, 9, 9]  # two sets, three rows
    assert lines_of(here, "plan") == lines_of(there, "plan")
    assert (here / "plan.md").read_text("utf-8") == (there / "plan.md").read_text("utf-8")
    assert "raylet" not in said

    before = {path: path.read_bytes() for path in there.rglob("*.jsonl")}
    assert "to do: nothing" in finished(start(plan, data, there))
    assert {path: path.read_bytes() for path in there.rglob("*.jsonl")} == before


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers among the processes as Linux shows them")
def test_a_killed_worker_and_a_stop_lose_nothing(plan: Path, data: Path, tmp_path: Path) -> None:
    here, there, only = tmp_path / "here", tmp_path / "there", ("--only", "*/igos")
    assert reproduce(plan, data, here, *QUICK, *only) == 0
    explained = there / "pope-gqa" / TINY / "igos.jsonl"
    process = start(plan, data, there, *only)
    wait(process, lambda: lines_in(explained) >= 1)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    done = lines_in(explained)
    wait(process, lambda: lines_in(explained) > done)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 130, errors
    assert "what was finished is complete" in errors
    assert done < lines_in(explained) < 9
    finished(start(plan, data, there, *only))
    assert in_any_order(here) == in_any_order(there)
    assert lines_of(here, "plan") == lines_of(there, "plan")


def in_any_order(out: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: sorted(lines, key=lambda line: str(line["id"])) for name, lines in journals(out).items()}


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait(process: "subprocess.Popen[str]", until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 500
    while not until():
        assert process.poll() is None, process.communicate()[1]
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail("nothing came")
        time.sleep(0.02)


def workers_of(driver: int) -> list[int]:
    """The processes below the driver that hold a worker."""
    parents: dict[int, int] = {}
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if b"MapWorker" in (place / "cmdline").read_bytes():
                found.append(int(place.name))

    def is_below(process: int) -> bool:
        return process == driver or (process in parents and is_below(parents[process]))

    return [process for process in found if is_below(process)]
