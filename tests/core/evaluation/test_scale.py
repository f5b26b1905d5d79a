"""Workers by Ray: the same lines as without, whatever dies. Ray is an extra; in CI a job of its own has it."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("ray_plans.py")
HERE = importlib.util.find_spec("ray") is not None
REQUIRED = os.environ.get("REQUIRE_RAY") == "1"
needs_ray = pytest.mark.skipif(
    not HERE and not REQUIRED,
    reason="NOTHING ABOUT WORKERS IS TESTED HERE: Ray is not installed (python -m pip install 'ray[data]>=2.50')",
)
pytestmark = pytest.mark.slow


def start(scenario: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, str(SCRIPT), scenario, str(folder)]
    paths = os.pathsep.join((str(ROOT), str(SCRIPT.parent)))
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def tried(scenario: str, folder: Path) -> dict[str, Any]:
    process = start(scenario, folder)
    try:
        said, errors = process.communicate(timeout=800)
    finally:
        process.kill()  # where it hangs
    assert process.returncode == 0, errors
    (line,) = [line for line in said.splitlines() if line.startswith("{")]
    return dict(json.loads(line))


def by_id(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line for line in lines}


@needs_ray
def test_any_number_of_workers_and_any_batch_give_the_lines_of_one_loop(tmp_path: Path) -> None:
    found = tried("equal", tmp_path)
    here = by_id(found.pop("here")["lines"])
    assert here["case 7"]["error"] == "case 7 is bad"
    for name, result in found.items():
        assert by_id(result["lines"]) == here, name
        written = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines()]
        assert by_id([{k: v for k, v in line.items() if k != "seconds"} for line in written]) == here


@needs_ray
def test_who_kills_its_worker_is_named_and_nobody_else_is_lost(tmp_path: Path) -> None:
    found = tried("deaths", tmp_path)
    errors = {line["id"]: line["error"] for line in found["first"]["lines"] if "error" in line}
    assert errors == {"case 5": "the worker died", "case 30": "the worker died"}
    assert len(by_id(found["first"]["lines"])) == 44
    assert (tmp_path / "case 12.killed").exists()  # a worker was killed in its batch, which was done again
    assert (found["again"]["skipped"], found["again"]["failed"]) == (42, 1)
    assert len((tmp_path / "R.jsonl").read_bytes().splitlines()) == 44


@needs_ray
def test_what_is_not_one_cases_fault_stops_all_in_one_line(tmp_path: Path) -> None:
    found = tried("refusals", tmp_path)
    said = {
        "missing": "There is no model nowhere.",
        "other settings": "would give other results (of differ)",
        "disk full": "cannot be written: the disk is full",
        "too many": "10000 workers want 10000 CPUs; there are 2",
        "all die": "died at more than 8 batches",
    }
    assert set(found) == set(said)
    for name, (kind, message) in found.items():
        assert kind in ("InvalidInput", "AttentionPromptingError")
        assert said[name] in message
        assert len(message.splitlines()) == 1
    assert len(list(tmp_path.glob("*.killed"))) <= 2 * 9 + 4  # and not one after another to the end


@needs_ray
def test_stop_keeps_what_is_done(tmp_path: Path) -> None:
    found = tried("stop", tmp_path)
    assert found["kept"] >= 8
    assert found["again"]["skipped"] == found["kept"]
    assert len(by_id(found["again"]["lines"])) == 44


@needs_ray
@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
def test_a_killed_driver_loses_nothing_that_is_written(tmp_path: Path) -> None:
    out = tmp_path / "R.jsonl"
    process = start("slowly", tmp_path)
    deadline = time.monotonic() + 400
    while not (out.exists() and out.stat().st_size > 3000):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = [json.loads(line)["id"] for line in out.read_bytes().split(b"\n")[:-1]]
    assert 0 < len(kept) == len(set(kept)) < 44
    again = tried("slowly", tmp_path)
    assert again["skipped"] == len(kept)
    assert len(by_id(again["lines"])) == len(out.read_bytes().splitlines()) == 44


@needs_ray
def test_the_command_gives_the_same_lines_with_workers_in_parts_and_without(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for number in range(6):
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        cases.append(json.dumps({"id": f"set/{number}", "picture": f"{number}.png", "question": "What colour is it?"}))
    (tmp_path / "cases.jsonl").write_text("\n".join(cases), encoding="utf-8")

    def run(*options: str) -> None:
        command = [sys.executable, "-m", "api_core", *options]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=800)
        assert done.returncode == 0, done.stderr
        assert "raylet" not in done.stdout

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    shared = ("--device", "cpu", "--max-new-tokens", "4", "--temperature", "1", "--save-pictures", "--batch-size", "2")
    run("run", "cases.jsonl", "-o", "one.jsonl", *shared)
    run("run", "cases.jsonl", "-o", "two.jsonl", *shared, "--workers", "2")
    run("run", "cases.jsonl", "-o", "1.jsonl", *shared, "--shard", "1/2")
    run("run", "cases.jsonl", "-o", "2.jsonl", *shared, "--shard", "2/2", "--workers", "1")
    run("merge", "1.jsonl", "2.jsonl", "-o", "three.jsonl", "--cases", "cases.jsonl")

    def lines(name: str) -> dict[str, dict[str, Any]]:
        read = [json.loads(line) for line in (tmp_path / name).read_text("utf-8").splitlines()]
        return by_id([{k: v for k, v in line.items() if k != "seconds"} for line in read])

    assert lines("one.jsonl") == lines("two.jsonl") == lines("three.jsonl")
    for name in (line["files"]["picture"] for line in lines("one.jsonl").values()):
        one, two, three = ((tmp_path / f"{run}.files" / name).read_bytes() for run in ("one", "two", "three"))
        assert one == two == three


@pytest.mark.skipif(HERE, reason="Ray is here")
def test_without_ray_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"id": "a", "picture": "a.png", "question": "?"}', encoding="utf-8")
    command = [sys.executable, "-m", "api_core", "run", "cases.jsonl", "-o", "r.jsonl", "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "--workers needs the package 'ray'" in done.stderr.splitlines()[-1]
