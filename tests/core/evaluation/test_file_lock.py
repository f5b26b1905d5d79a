"""One process at a time writes a file of results: who is refused, who takes over, and what survives a kill."""

import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.errors import CannotWrite, InvalidInput
from pack.api_core.evaluation.runner import file_lock
from pack.api_core.evaluation.runner.file_lock import FileLock, lock_of, require_free

ROOT = Path(__file__).resolve().parents[3]
LOOP = """
import sys, time
from pathlib import Path
from api_core.command_line.terminal import complain
from api_core.errors import AttentionPromptingError
from api_core.evaluation.cases import QuestionCase
from api_core.evaluation.runner.run_cases import run_cases

def work(cases, on_progress):
    time.sleep(float(sys.argv[2]))
    return [{"answer": case.id * 200} for case in cases]

cases = [QuestionCase(f"case {n}", Path(f"{n}.png"), "?") for n in range(int(sys.argv[3]))]
try:
    print(run_cases(cases, work, Path(sys.argv[1]), settings={}, batch_size=2).skipped)
except AttentionPromptingError as error:
    complain(f"error: {error}")
    sys.exit(2)
"""


def start(out: Path, seconds: float = 0.005, count: int = 60) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", LOOP, str(out), str(seconds), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def quick_to_judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(file_lock, "_BEAT", 0.1)
    monkeypatch.setattr(file_lock, "_WATCH", 0.6)
    monkeypatch.setattr(file_lock, "_SETTLE", 0.1)
    yield


def left_behind(target: Path, **said: Any) -> None:
    owner = {"pid": 1, "host": socket.gethostname(), "since": "2026-01-01 00:00:00", "token": "another"}
    lock_of(target).write_text(json.dumps({**owner, **said}), encoding="utf-8")


def test_another_process_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    first = start(out, seconds=0.2, count=4000)  # longer than a busy machine takes to start another
    wait_for(out, first)
    before = out.read_bytes()
    second = start(out)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    (line,) = said.splitlines()
    assert f"process {first.pid} on {socket.gethostname()}, since 2" in line
    with pytest.raises(InvalidInput, match=f"process {first.pid} "):
        require_free(out)
    first.kill()
    first.communicate()
    assert out.read_bytes().startswith(before)  # nobody replaced it
    again = start(out)
    told, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert int(told) >= before.count(b"\n")
    assert not lock_of(out).exists()


def test_the_same_process_is_no_exception_and_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    with FileLock(out), pytest.raises(InvalidInput, match=f"process {os.getpid()} on "), FileLock(out):
        pass
    with FileLock(out) as lock:
        lock.require_held()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="makes a link")
def test_a_file_has_one_lock_whatever_it_is_called(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    (tmp_path / "link.jsonl").symlink_to(out)
    with FileLock(out), pytest.raises(InvalidInput, match="being written"), FileLock(tmp_path / "link.jsonl"):
        pass


def test_a_lock_that_a_dead_process_left_is_taken_over_at_once(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    left_behind(out, pid=os.getpid())  # a number may be another's by now
    started = time.monotonic()
    with FileLock(out) as lock:
        lock.require_held()
        assert json.loads(lock_of(out).read_text())["token"] != "another"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"x"'])
def test_a_lock_that_says_nothing_is_watched_and_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    out = tmp_path / "results.jsonl"
    lock_of(out).write_text(text)
    with quick_to_judge(monkeypatch), FileLock(out) as lock:
        lock.require_held()


def test_another_machine_that_gives_signs_of_life_keeps_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "results.jsonl"
    left_behind(out, pid=77, host="node 12")
    alive = threading.Event()

    def beat() -> None:
        while not alive.wait(0.1):
            os.utime(lock_of(out))

    with quick_to_judge(monkeypatch):
        owner = threading.Thread(target=beat)
        owner.start()
        with pytest.raises(InvalidInput, match="process 77 on node 12, since 2026-01-01"), FileLock(out):
            pass
        alive.set()
        owner.join()
        assert "whether it still is" in caplog.text
        with FileLock(out) as lock:  # silent now: taken for dead
            lock.require_held()


@pytest.mark.skipif(os.name == "nt", reason="another system call")
def test_a_folder_without_locks_says_so_and_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(file_lock, "_lock_file", refuse)
    out = tmp_path / "results.jsonl"
    with quick_to_judge(monkeypatch):
        with FileLock(out):
            with pytest.raises(InvalidInput, match=f"process {os.getpid()} "), FileLock(out):
                pass
            assert "cannot lock files (Function not implemented)" in caplog.text
        left_behind(out)
        with FileLock(out) as lock:
            lock.require_held()


@pytest.mark.parametrize("removed", [True, False])
def test_who_lost_the_lock_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: bool) -> None:
    out = tmp_path / "results.jsonl"
    with quick_to_judge(monkeypatch), FileLock(out) as lock:
        if removed:
            lock_of(out).unlink()
        else:
            left_behind(out, pid=5)
        time.sleep(0.4)
        with pytest.raises(InvalidInput, match=r"removed|process 5 on"):
            lock.require_held()
    assert lock_of(out).exists() is not removed  # it is no longer this process's to remove


def test_a_folder_is_no_file_of_results(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a folder"):
        require_free(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
def test_kills_at_any_moment_lose_double_and_tear_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    out = tmp_path / "results.jsonl"
    chance = random.Random(3)
    done = 0
    for _ in range(8):
        process = start(out, seconds=0.03, count=400)
        wait_for(lock_of(out), process)
        time.sleep(chance.uniform(0.0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        whole = [json.loads(line)["id"] for line in out.read_bytes().split(b"\n")[:-1]] if out.exists() else []
        assert len(set(whole)) == len(whole) >= done
        done = len(whole)
    assert 0 < done < 400
    last = start(out, seconds=0.0, count=400)
    told, said = last.communicate(timeout=120)
    assert (last.returncode, int(told)) == (0, done), said
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(f"case {n}" for n in range(400))
    assert all(line["answer"] == line["id"] * 200 for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.jsonl"]


def test_a_disk_without_room_for_a_name_keeps_no_nameless_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "results.jsonl"
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:20]))
    with pytest.raises(CannotWrite, match="the disk is full"), FileLock(out):
        pass
    assert list(tmp_path.iterdir()) == []
