"""`data`, `score` and `export` as a user meets them: what is printed, which mistakes are named."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.command_line import main
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.files import json_of, objects_of, table_of
from pack.api_core.evaluation.official.registry import DATA_SETS
from pack.tests.core.evaluation.official.round_trip import refusal


def line(number: int, **arms: str) -> dict[str, Any]:
    truth = ("yes", "no")[number % 2]
    meta = {"group": f"existence/{number // 2}.jpg", "truth": truth}
    case = {"id": f"mme/test/{number}", "picture": f"{number}.jpg", "question": "Is it?", "query": "Is it?"}
    return {**case, "answers": [truth], "kind": "existence", "scorer": "yes-no", "meta": meta}


def result(case: dict[str, Any], **arms: str) -> dict[str, Any]:
    about = {name: case[name] for name in ("id", "question", "query", "answers", "kind", "meta")}
    return {**about, "case": "0", "settings": {}} | {arm: {"answer": text} for arm, text in arms.items()}


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Path, Path]:
    """Six cases of MME and the answers to five of them, one of which failed."""
    cases = [line(number) for number in range(6)]
    results = [result(case, plain="Yes", prompted=case["answers"][0]) for case in cases[:4]]
    failed = {"id": cases[4]["id"], "case": "0", "settings": {}, "error": "no memory"}
    for name, lines in (("cases", cases), ("results", [*results, failed])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return tmp_path / "results.jsonl", tmp_path / "cases.jsonl"


def test_the_list_names_every_set_with_its_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    for data_set in DATA_SETS.values():
        assert f"{data_set.name}: {data_set.title}" in said
        assert data_set.licence in said
        assert all(f"  rule {rule}: " in said for rule in data_set.rules)


def test_scores_are_printed_arm_by_arm_with_their_rule(
    asked: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, cases = asked
    further = ("--json", str(tmp_path / "s.json"), "--markdown", str(tmp_path / "s.md"))
    assert main(["score", str(results), "--cases", str(cases), "--rule", "official", *further]) == 0
    said = capsys.readouterr().out
    assert "| plain | existence | official | 50.00 | 4 | 2 | 0 |" in said.replace(" ± 0.00", "")
    assert "| prompted | existence | official | 200.00" in said
    assert (tmp_path / "s.md").read_text() in said
    assert json.loads((tmp_path / "s.json").read_text())["arms"]["prompted"]["rows"][0]["value"] == 200


def test_answers_are_scored_wherever_the_cases_lie(
    asked: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, cases = asked
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(cases, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert main(["score", results.name, "--cases", "elsewhere/cases.jsonl"]) == 0


def test_an_export_says_what_it_lacks(
    asked: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, cases = asked
    command = ("export", str(results), "--cases", str(cases), "--out", str(tmp_path / "mme"))
    assert main([*command, "--shown", "prompted"]) == 1
    assert "2 of 6 cases have no answer" in capsys.readouterr().err
    lines = (tmp_path / "mme" / "existence.txt").read_text().splitlines()
    assert lines[1] == "0.jpg\tIs it?\tno\tno"
    assert "has no answers 'kept'. Choose one of plain, prompted" in refusal(capsys, *command, "--shown", "kept")


@pytest.mark.parametrize("name", ["mme", "mmvp", "pope"])
def test_an_export_that_would_shift_lines_is_refused(name: str, tmp_path: Path) -> None:
    """Official programs take lines together by their order: every two of a picture or a pair, or all of a part."""
    meta = {"question_id": 1, "number": 1, "options": ["x", "y"], "original": "A", "group": "one"}
    cases = [
        QuestionCase(f"{name}/test/{number}", Path("1.jpg"), "Is it?", answers=("yes",), kind="existence", meta=meta)
        for number in range(2)
    ]
    export = DATA_SETS[name].export
    whole = {case.id: "yes" for case in cases}
    export(cases, whole, tmp_path / "whole")
    with pytest.raises(InvalidInput, match=f"{name}/test/0' has no answer, and the official program goes by"):
        export(cases, {cases[1].id: "yes"}, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


def test_a_line_that_a_kill_tore_is_no_obstacle(asked: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    results, cases = asked
    with results.open("ab") as file:
        file.write(results.read_bytes()[:100])
    assert main(["score", str(results), "--cases", str(cases), "--rule", "official"]) == 0
    assert "| plain | existence | official | 50.00 | 4 | 2 | 0 |" in capsys.readouterr().out.replace(" ± 0.00", "")


def test_mistakes_are_named_in_one_line(
    asked: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, cases = asked
    command = ("score", results, "--cases", cases)
    assert "no rule 'best'. Choose one of official, avisc" in refusal(capsys, *command, "--rule", "best")
    assert "There is no data set 'mm'" in refusal(capsys, "data", "read", "mm", tmp_path, "--out", tmp_path)
    assert "no wording 'odd'" in refusal(capsys, "data", "read", "mme", tmp_path, "--out", tmp_path, "--wording", "odd")
    lines = [json.loads(text) for text in cases.read_text().splitlines()]
    cases.write_text("".join(json.dumps({**one, "question": "Is it not?"}) + "\n" for one in lines))
    assert "what is asked there has changed" in refusal(capsys, *command)
    cases.write_text("".join(json.dumps(one) + "\n" for one in lines[1:]))
    assert "'mme/test/0', which is none of the cases" in refusal(capsys, *command)
    cases.write_text(json.dumps({**lines[0], "id": "a/1"}) + "\n" + json.dumps(lines[1]) + "\n")
    assert "of several data sets (a, mme)" in refusal(capsys, *command)
    cases.write_text("".join(json.dumps(one) + "\n" for one in lines))
    results.write_text("")
    assert "There is no answer among the results" in refusal(capsys, *command)
    results.write_text("{}\n")
    assert "results.jsonl, line 1 is no result of a case" in refusal(capsys, *command)
    results.unlink()
    assert "results.jsonl cannot be read" in refusal(capsys, *command)


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = refusal(capsys, "data", "read", "mme", tmp_path, "--out", tmp_path / "out")
    assert 'pip install "attention-prompting[data]"' in said


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("a.csv", 'a,b\n1,"' + "x" * 200_000, table_of),
        ("a.json", "[" * 100_000, json_of),
        ("a.json", "[1" + "0" * 5000 + "]", json_of),
        ("a.jsonl", '{"a": ' * 100_000, objects_of),
        ("a.jsonl", '{"a": 1' + "0" * 5000 + "}", objects_of),
    ],
    ids=["long cell", "deep", "large number", "deep line", "large number in a line"],
)
def test_what_is_no_official_file_is_one_line(name: str, content: str, read: Any, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=name) as error:
        read(tmp_path / name)
    assert len(str(error.value).splitlines()) == 1
