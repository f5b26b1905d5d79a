"""Parts of a run: which case is in which, and what is made of their files."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.runner.file_lock import FileLock
from pack.api_core.evaluation.runner.merge import merge_results
from pack.api_core.evaluation.runner.run_cases import run_cases, select_shard
from pack.api_core.evaluation.runner.saving import file_stem
from pack.api_core.progress import Progress
from pack.api_core.whole_file import whole_file

CASES = [QuestionCase(f"set/{n}", Path(f"{n}.png"), f"What is {n}?") for n in range(60)]


def echo(cases: Sequence[QuestionCase], on_progress: Progress) -> list[dict[str, Any]]:
    return [{"answer": case.question} for case in cases]


def part(tmp_path: Path, number: int, cases: Sequence[QuestionCase], work: Any = echo, **settings: Any) -> Path:
    out = tmp_path / f"R.{number}.jsonl"
    run_cases(cases, work, out, settings=settings)
    return out


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def same(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "seconds"}


@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_each_case_is_in_one_part_whatever_else_there_is(count: int) -> None:
    parts = [select_shard(CASES, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(case.id for cases in parts for case in cases) == sorted(case.id for case in CASES)
    some = [case for case in CASES if case.id.endswith("7")]
    for number, cases in enumerate(parts, 1):
        assert select_shard(some, f"{number}/{count}") == [case for case in cases if case in some]
    assert count > 3 or min(map(len, parts)) > 10


def test_a_part_is_the_same_everywhere_and_always() -> None:
    part = select_shard(CASES, "2/16")
    assert [case.id for case in part] == [
        "set/1",
        "set/14",
        "set/17",
        "set/30",
        "set/36",
        "set/43",
    ]


@pytest.mark.parametrize("text", ["0/16", "17/16", "3", "3/", "/3", "a/b", "-1/3", "1/0", "1:3", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="counted from 1"):
        select_shard(CASES, text)


def test_parts_make_the_file_that_one_run_writes(tmp_path: Path) -> None:
    parts = [part(tmp_path, n, select_shard(CASES, f"{n}/3"), model="m") for n in (1, 2, 3)]
    whole = part(tmp_path, 0, CASES, model="m")
    merged = merge_results(parts, tmp_path / "R.jsonl", cases=CASES)
    assert (merged.failed, merged.missing, merged.versions) == (0, 0, 1)
    assert [same(line) for line in lines(tmp_path / "R.jsonl")] == [same(line) for line in lines(whole)]
    again = run_cases(CASES, echo, tmp_path / "R.jsonl", settings={"model": "m"})  # and it can be gone on from
    assert again.skipped == len(CASES)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_parts_of_machines_that_have_the_pictures_elsewhere_are_of_one_run(tmp_path: Path) -> None:
    machines = []
    for name in ("one", "two", "three"):
        folder = tmp_path / name
        folder.mkdir()
        cases = [replace(case, picture=folder / str(case.picture)) for case in CASES]
        for case in cases if name != "three" else ():
            case.picture.write_bytes(case.id.encode())
        machines.append(cases)
    first = part(tmp_path, 1, select_shard(machines[0], "1/2"))
    second = part(tmp_path, 2, select_shard(machines[1], "2/2"))
    both = part(tmp_path, 3, machines[0][:5])
    for cases in machines:  # the third has no pictures at all
        found = merge_results([first, second, both], tmp_path / "R.jsonl", cases=cases, overwrite=True)
        assert [record["id"] for record in found.records] == [case.id for case in CASES]
        assert run_cases(cases, echo, tmp_path / "R.jsonl", settings={}).skipped == len(CASES)
    machines[1][7].picture.write_bytes(b"another picture")
    with pytest.raises(InvalidInput, match="none of the cases as they are now"):
        merge_results([first, second], tmp_path / "R.jsonl", cases=machines[1], overwrite=True)
    with pytest.raises(InvalidInput, match="that case or its picture has changed since"):
        run_cases(machines[1], echo, tmp_path / "R.jsonl", settings={})


def test_a_case_in_two_parts_must_have_one_result(tmp_path: Path) -> None:
    one, two = part(tmp_path, 1, CASES[:4]), part(tmp_path, 2, CASES[2:6])
    assert len(merge_results([one, two], tmp_path / "R.jsonl").records) == 6
    other = part(tmp_path, 3, CASES[3:5], lambda cases, _: [{"answer": "another"} for _ in cases])
    with pytest.raises(InvalidInput, match=r"1\.jsonl and .*3\.jsonl have different results of 'set/3' \(answer\)"):
        merge_results([one, other], tmp_path / "S.jsonl")
    assert not (tmp_path / "S.jsonl").exists()


def test_a_result_counts_before_a_failure(tmp_path: Path) -> None:
    def fail(cases: Sequence[QuestionCase], on_progress: Progress) -> list[dict[str, Any]]:
        raise InvalidInput("bad")

    failed, fine = part(tmp_path, 1, CASES[:3], fail), part(tmp_path, 2, CASES[:2])
    for order in ([failed, fine], [fine, failed]):
        merged = merge_results(order, tmp_path / "R.jsonl", cases=CASES[:5], overwrite=True)
        assert ["error" in record for record in merged.records] == [False, False, True]
        assert (merged.failed, merged.missing) == (1, 2)


def test_what_is_no_part_of_this_run_is_refused(tmp_path: Path) -> None:
    one, other = part(tmp_path, 1, CASES[:2], contrast=5), part(tmp_path, 2, CASES[2:4], contrast=10)
    out = tmp_path / "R.jsonl"
    with pytest.raises(InvalidInput, match=r"contrast: 5 .*R\.1\.jsonl, 10 .*R\.2\.jsonl"):
        merge_results([one, other], out)
    with pytest.raises(InvalidInput, match="one of the parts"):
        merge_results([one, other], other)
    with pytest.raises(InvalidInput, match="There is no file"):
        merge_results([one, tmp_path / "none.jsonl"], out)
    with pytest.raises(InvalidInput, match="none of the cases as they are now"):
        merge_results([one], out, cases=CASES[1:])
    with FileLock(one), pytest.raises(InvalidInput, match="being written"):
        merge_results([one], out)
    out.write_text("")
    with pytest.raises(InvalidInput, match="--overwrite"):
        merge_results([one], out)


def test_pictures_come_along(tmp_path: Path) -> None:
    def draw(cases: Sequence[QuestionCase], on_progress: Progress) -> list[dict[str, Any]]:
        for case in cases:
            (tmp_path / "R.1.files" / f"{case.question[8]}.png").write_bytes(case.id.encode())
        return [{"files": {"picture": f"{case.question[8]}.png"}} for case in cases]

    (tmp_path / "R.1.files").mkdir()
    one = part(tmp_path, 1, CASES[:3], draw)
    out = tmp_path / "far" / "R.jsonl"
    for _ in range(2):
        merge_results([one], out, overwrite=True)
        assert {path.name: path.read_bytes() for path in (tmp_path / "far" / "R.files").iterdir()} == {
            "0.png": b"set/0",
            "1.png": b"set/1",
            "2.png": b"set/2",
        }
    (tmp_path / "R.1.files" / "2.png").unlink()
    for again in (tmp_path / "other" / "R.jsonl", out):  # which has one of that name already
        with pytest.raises(InvalidInput, match=r"2\.png, which is not there"):
            merge_results([one], again, overwrite=True)


def test_a_long_name_leaves_room_for_what_comes_around_it(tmp_path: Path) -> None:
    for letter in ("a", "\u732b", "\U0001f431a"):
        name = file_stem(letter * 80)
        with whole_file(tmp_path / f"{name}.mask.png") as aside:
            aside.write_bytes(b"")
        assert name == file_stem(letter * 80)
    assert file_stem("\u732b" * 80) != file_stem("\u732b" * 79)
