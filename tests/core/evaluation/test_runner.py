"""The runner on small work of its own: what is kept, what is done again, what stops it."""

import errno
import io
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.errors import Cancelled, CannotWrite, InvalidInput
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.runner import results_file
from pack.api_core.evaluation.runner.run_cases import run_cases, select_range
from pack.api_core.progress import Progress

CASES = [QuestionCase(f"case {n}", Path(f"{n}.png"), f"What is {n}?", (str(n),)) for n in range(7)]
SETTINGS = {"model": "m", "contrast": 5.0, "layers": (1, 2)}


class Echo:
    """Answers with the id; fails on the ids it is told; remembers the batches it was given."""

    def __init__(self, *failing: str) -> None:
        self.failing = set(failing)
        self.batches: list[list[str]] = []

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        self.batches.append([case.id for case in cases])
        on_progress(0, 1)
        for case in cases:
            if case.id in self.failing:
                raise InvalidInput(f"{case.id} is\nbad.")
        return [{"answer": f"é {case.id}"} for case in cases]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_case_gets_a_line_with_all_there_is_to_know(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "results.jsonl"
    steps: list[tuple[int, int]] = []
    result = run_cases(
        CASES, Echo(), out, settings=SETTINGS, batch_size=3, on_progress=lambda *step: steps.append(step)
    )
    found = lines(out)
    assert [line["id"] for line in found] == [case.id for case in CASES]
    assert found[2]["answer"] == "é case 2"
    assert found[2]["settings"] == {"model": "m", "contrast": 5.0, "layers": [1, 2]}
    assert {"python", "torch"} <= set(found[2]["versions"])
    assert found[2]["seconds"] >= 0
    assert (result.skipped, result.failed) == (0, 0)
    assert list(result.records) == found
    assert sorted(set(steps)) == [(0, 7), (3, 7), (6, 7), (7, 7)]
    assert steps == sorted(steps)


def test_a_second_run_does_only_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    run_cases(CASES[2:4], Echo(), out, settings=SETTINGS)
    before = out.read_bytes()
    work = Echo()
    result = run_cases(CASES, work, out, settings=SETTINGS, batch_size=10)
    assert work.batches == [["case 0", "case 1", "case 4", "case 5", "case 6"]]
    assert result.skipped == 2
    assert [record["id"] for record in result.records] == [case.id for case in CASES]
    assert out.read_bytes().startswith(before)
    work = Echo()
    run_cases(CASES, work, out, settings=SETTINGS)
    assert work.batches == []


def test_a_failing_case_gets_its_error_and_the_next_run_tries_it_again(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    result = run_cases(CASES, Echo("case 1", "case 5"), out, settings=SETTINGS, batch_size=3)
    assert result.failed == 2
    found = lines(out)
    assert len(found) == 7
    assert found[1]["error"] == "case 1 is bad."
    assert "answer" not in found[1]
    assert found[2]["answer"] == "é case 2"
    result = run_cases(CASES, Echo("case 5"), out, settings=SETTINGS)
    assert (result.skipped, result.failed) == (5, 1)
    assert sorted(line["id"] for line in lines(out)) == [case.id for case in CASES]


def test_an_unexpected_error_is_named_by_its_type(tmp_path: Path) -> None:
    def divide(cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        return [{"x": 1 / 0}]

    (record,) = run_cases(CASES[:1], divide, None, settings={}).records
    assert record["error"] == "ZeroDivisionError: division by zero"


def test_work_that_loses_a_case_is_found_out() -> None:
    def lose(cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        return [{}] * (len(cases) - 1)

    result = run_cases(CASES[:2], lose, None, settings={}, batch_size=2)
    assert result.failed == 2
    assert "1 cases gave 0 results" in result.records[0]["error"]


@pytest.mark.parametrize("stop", [Cancelled("stop"), KeyboardInterrupt(), RuntimeError("the host's own")])
@pytest.mark.parametrize("inside", [False, True])
def test_stop_keeps_what_is_done(tmp_path: Path, stop: BaseException, inside: bool) -> None:
    out = tmp_path / "results.jsonl"
    calls = 0

    def on_progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if done >= 4 and (not inside or calls % 2 == 0):
            raise stop

    with pytest.raises(type(stop)):
        run_cases(CASES, Echo(), out, settings=SETTINGS, batch_size=2, on_progress=on_progress)
    assert [line["id"] for line in lines(out)] == ["case 0", "case 1", "case 2", "case 3"]
    result = run_cases(CASES, Echo(), out, settings=SETTINGS, batch_size=2)
    assert (result.skipped, len(lines(out))) == (4, 7)


def test_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    run_cases(CASES[:1], Echo(), out, settings=SETTINGS)
    before = out.read_bytes()
    with pytest.raises(InvalidInput, match=r"contrast: 5\.0 there, 10 now"):
        run_cases(CASES, Echo(), out, settings={**SETTINGS, "contrast": 10})
    assert out.read_bytes() == before
    run_cases(CASES[1:2], Echo(), out, settings={**SETTINGS, "contrast": 10}, overwrite=True)
    assert [line["id"] for line in lines(out)] == ["case 1"]


def test_a_case_that_has_changed_is_not_taken_for_done(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    run_cases(CASES[:1], Echo(), out, settings=SETTINGS)
    changed = QuestionCase(CASES[0].id, Path("0.png"), "Another question?")
    with pytest.raises(InvalidInput, match="has changed since"):
        run_cases([changed], Echo(), out, settings=SETTINGS)


@pytest.mark.parametrize("torn", [b'{"id": "case 3", "ans', b'{"id": "case 3", "case": "0"', b"\xc3"])
def test_a_torn_last_line_is_done_again(tmp_path: Path, torn: bytes) -> None:
    out = tmp_path / "results.jsonl"
    run_cases(CASES[:3], Echo(), out, settings=SETTINGS)
    out.write_bytes(out.read_bytes() + torn)
    result = run_cases(CASES[:4], Echo(), out, settings=SETTINGS)
    assert result.skipped == 3
    assert [line["id"] for line in lines(out)] == ["case 0", "case 1", "case 2", "case 3"]


def test_a_last_line_without_its_end_still_counts(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    run_cases(CASES[:3], Echo(), out, settings=SETTINGS)
    out.write_bytes(out.read_bytes().rstrip(b"\n"))
    assert run_cases(CASES[:4], Echo(), out, settings=SETTINGS).skipped == 3
    assert len(lines(out)) == 4


@pytest.mark.parametrize("content", [b"not results\n{}\n", b'{"id": "case 0"}\n', b"[1]\n"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.jsonl"
    out.write_bytes(content)
    with pytest.raises(InvalidInput, match="line 1"):
        run_cases(CASES, Echo(), out, settings=SETTINGS)
    assert out.read_bytes() == content


@pytest.mark.parametrize("left", [b"\0" * 4096, b'{"id": "case 3", "ans' + b"\0" * 300, b"\0" * 9 + b"\n"])
def test_nuls_behind_a_crash_are_done_again(tmp_path: Path, left: bytes) -> None:
    out = tmp_path / "results.jsonl"
    run_cases(CASES[:3], Echo(), out, settings=SETTINGS)
    whole = out.read_bytes()
    out.write_bytes(whole + left)
    assert run_cases(CASES[:4], Echo(), out, settings=SETTINGS).skipped == 3
    assert [line["id"] for line in lines(out)] == ["case 0", "case 1", "case 2", "case 3"]
    out.write_bytes(left + whole)  # a block that never reached the disk, with lines behind it
    assert run_cases(CASES[:4], Echo(), out, settings=SETTINGS).skipped == (2 if left[:1] == b"{" else 3)
    assert sorted(line["id"] for line in lines(out)) == ["case 0", "case 1", "case 2", "case 3"]


@pytest.mark.parametrize(
    "odd",
    [
        {"id": [], "case": "0", "settings": {}},
        {"id": "case 0", "case": None, "settings": {}},
        {"id": 3, "case": "0", "settings": {}},
    ],
)
def test_odd_lines_are_told_by_their_number(tmp_path: Path, odd: dict[str, Any]) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text(json.dumps(odd) + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1 is no result of a case"):
        run_cases(CASES, Echo(), out, settings=SETTINGS)
    out.write_text('{"id": "case 0", "case": "0", "settings": ' + "[" * 100_000 + "\n{}\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1 is no JSON"):
        run_cases(CASES, Echo(), out, settings=SETTINGS)


class FullDisk(io.FileIO):
    """A file on a disk with so much room left, which takes half of what does not fit."""

    room = 0

    def write(self, data: Any) -> int:
        if len(data) <= FullDisk.room:
            FullDisk.room -= len(data)
            return super().write(data)
        if FullDisk.room:
            half, FullDisk.room = bytes(data[: FullDisk.room]), 0
            return super().write(half)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("room", [0, 1, 150, 600, 601, 777, 1000])
def test_a_full_disk_stops_the_run_and_tears_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    out = tmp_path / "results.jsonl"
    monkeypatch.setattr(results_file, "FileIO", FullDisk)
    monkeypatch.setattr(FullDisk, "room", room)
    work = Echo()
    with pytest.raises(CannotWrite, match=r"results\.jsonl cannot be written: the disk is full.* Make room"):
        run_cases(CASES, work, out, settings=SETTINGS)
    kept = [line["id"] for line in lines(out)]
    assert work.batches == [[f"case {n}"] for n in range(len(kept) + 1)]  # no case is computed for nothing
    assert not out.read_bytes() or out.read_bytes().endswith(b"\n")
    monkeypatch.undo()
    assert run_cases(CASES, Echo(), out, settings=SETTINGS).skipped == len(kept)
    assert [line["id"] for line in lines(out)] == [case.id for case in CASES]


def test_work_that_cannot_write_stops_where_no_case_could(tmp_path: Path) -> None:
    def full(code: int) -> Echo:
        class Full(Echo):
            def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
                super().__call__(cases, on_progress)
                raise CannotWrite(tmp_path / f"{cases[0].id}.png", OSError(code, os.strerror(code)))

        return Full()

    out = tmp_path / "results.jsonl"
    work = full(errno.ENOSPC)
    with pytest.raises(CannotWrite, match=r"case 0\.png cannot be written: the disk is full"):
        run_cases(CASES, work, out, settings=SETTINGS, batch_size=3)
    assert len(work.batches) == 1
    result = run_cases(CASES, full(errno.EISDIR), out, settings=SETTINGS, batch_size=3)
    assert result.failed == len(CASES)
    assert result.records[0]["error"].endswith("there is a folder of that name. Choose another name.")


def test_a_number_that_json_does_not_have_fails_its_case_alone(tmp_path: Path) -> None:
    def work(cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        return [{"score": float("nan") if case.id == "case 2" else 1.0} for case in cases]

    result = run_cases(CASES, work, tmp_path / "results.jsonl", settings=SETTINGS)
    assert result.failed == 1
    assert result.records[2]["error"] == "the result holds a number that is not finite"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_only_be_read_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    work = Echo()
    with pytest.raises(CannotWrite, match=r"results\.jsonl cannot be written: you may not write there"):
        run_cases(CASES, work, tmp_path / "shut" / "results.jsonl", settings=SETTINGS)
    assert work.batches == []


def test_a_file_where_a_folder_should_be_and_a_folder_where_a_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    work = Echo()
    with pytest.raises(CannotWrite, match=r"results\.jsonl cannot be written: (a part|a file)"):
        run_cases(CASES, work, tmp_path / "taken" / "results.jsonl", settings=SETTINGS)
    with pytest.raises(InvalidInput, match="is a folder"):
        run_cases(CASES, work, tmp_path, settings=SETTINGS)
    assert work.batches == []


def test_without_a_file_results_stay_in_memory() -> None:
    result = run_cases(CASES, Echo(), None, settings=SETTINGS)
    assert [record["answer"] for record in result.records] == [f"é {case.id}" for case in CASES]


@pytest.mark.parametrize(
    ("text", "ids"),
    [("2:4", [2, 3]), (":1", [0]), ("5:", [5, 6]), ("3:99", [3, 4, 5, 6]), (":", list(range(7)))],
)
def test_a_range_counts_from_0_and_leaves_its_end_out(text: str, ids: list[int]) -> None:
    assert select_range(CASES, text) == [CASES[i] for i in ids]


@pytest.mark.parametrize("text", ["3", "a:b", "-2:", "4:4", "9:12", "1:2:3", ""])
def test_what_is_no_range_or_an_empty_one_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="range"):
        select_range(CASES, text)


class Together(Echo):
    """Answers none of so many batches before all of them are under way."""

    def __init__(self, count: int, *failing: str) -> None:
        super().__init__(*failing)
        self.meeting = threading.Barrier(count, timeout=30)

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        self.meeting.wait()
        return super().__call__(cases, on_progress)


class NeverReady(Echo):
    """Answers the first two batches; every other is under way until it is stopped."""

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        found = super().__call__(cases, on_progress)
        given_up = time.monotonic() + 30
        while [case.id for case in cases] not in self.batches[:2] and time.monotonic() < given_up:
            time.sleep(0.01)
            on_progress(0, 1)
        return found


def test_batches_side_by_side_give_the_same_lines(tmp_path: Path) -> None:
    one, many = tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    run_cases(CASES, Echo("case 5"), one, settings=SETTINGS)
    result = run_cases(CASES, Together(len(CASES), "case 5"), many, settings=SETTINGS, lanes=len(CASES))
    assert result.failed == 1
    assert [record["id"] for record in result.records] == [case.id for case in CASES]
    without_time = [sorted(({**line, "seconds": 0} for line in lines(path)), key=str) for path in (one, many)]
    assert without_time[0] == without_time[1]


@pytest.mark.parametrize("stop", [Cancelled("stop"), KeyboardInterrupt(), RuntimeError("the host's own")])
def test_stop_reaches_batches_side_by_side_and_keeps_what_is_done(tmp_path: Path, stop: BaseException) -> None:
    out = tmp_path / "results.jsonl"

    def on_progress(done: int, total: int) -> None:
        if done >= 2:
            raise stop

    before = threading.active_count()
    with pytest.raises(type(stop)):
        run_cases(CASES, NeverReady(), out, settings=SETTINGS, lanes=2, on_progress=on_progress)
    assert threading.active_count() <= before
    assert len(lines(out)) == 2
    work = Echo()
    result = run_cases(CASES, work, out, settings=SETTINGS, lanes=2)
    assert result.skipped + len(work.batches) == len(CASES) == len(lines(out))


def test_a_full_disk_stops_batches_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_file, "FileIO", FullDisk)
    monkeypatch.setattr(FullDisk, "room", 700)
    work = Echo()
    with pytest.raises(CannotWrite, match="the disk is full"):
        run_cases(CASES, work, tmp_path / "results.jsonl", settings=SETTINGS, lanes=2)
    assert len(work.batches) < len(CASES)
