"""MM-Vet: its file, the hub's rows, and marks of a judge, who is asked again when it gives none."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.tests.core.evaluation.official.judging import judge, mm_vet_checkout, says, verdicts_in
from pack.tests.core.evaluation.official.round_trip import (
    answers_of,
    ask,
    draw,
    export,
    picture_bytes,
    read,
    refusal,
    score,
    write_parquet,
)
from pack.tests.servers.process import ServerProcess

ENTRIES: dict[str, dict[str, Any]] = {
    "v1_0": {"imagename": "v1_0.png", "question": "What is x?", "answer": "-1<AND>-5", "capability": ["ocr", "math"]},
    "v1_1": {"imagename": "v1_0.png", "question": "And y?", "answer": "3<OR>three", "capability": ["ocr"]},
    "v1_2": {"imagename": "v1_2.jpg", "question": "What is this?", "answer": "a star", "capability": ["rec"]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "mm-vet"
    for number, entry in enumerate(ENTRIES.values()):
        draw(top / "images" / entry["imagename"], number)
    (top / "mm-vet.json").write_text(json.dumps(ENTRIES, indent=4))
    return top


def test_all_the_way(
    folder: Path, tmp_path: Path, server: ServerProcess, profiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    cases = read("mm-vet", folder, out, "--partial")
    assert [case.id for case in cases] == [f"mm-vet/test/{key}" for key in ENTRIES]
    assert [case.question for case in cases] == [entry["question"] for entry in ENTRIES.values()]
    assert [case.kind for case in cases] == ["math_ocr", "ocr", "rec"]
    results = ask(out)
    said = list(answers_of(results).values())
    assert json.loads(export(out, results, "mm-vet.json").read_text()) == dict(zip(ENTRIES, said, strict=True))

    assert "judge RESULTS.jsonl" in refusal(capsys, "score", results, "--cases", out / "cases.jsonl")
    server.misbehave(*says("0.5", "good", "1.0", "none", "no", "nil", "so", "sorry", "0.7"))
    # The first round asks about each, then the second about those two that had no mark, and so on to the sixth try.
    verdicts = out / "verdicts.jsonl"
    capsys.readouterr()
    assert judge(results, verdicts, mm_vet_checkout(tmp_path / "checkout"), profiles) == 0
    assert "are not those that published scores were made with" in capsys.readouterr().err
    found = verdicts_in(verdicts)
    assert [line["said"] for line in found] == [["0.5"], ["good", "none", "no", "nil", "so", "sorry"], ["1.0"]]
    assert [(line["of"], line["arm"], line["run"], line["judge"]) for line in found] == [
        (case.id, "plain", 1, "m") for case in cases
    ]
    asked = server.requests
    assert [one["settings"]["temperature"] for one in asked] == [0, 0, 0, 0, 0.5, 1.0, 1.5, 2.0]
    assert {one["settings"]["max_tokens"] for one in asked} == {3}
    start = "Mark it.\nQ | T | P | M\n\n"
    assert asked[0]["texts"] == [f"{start}What is x? | -1 <AND> -5 | {said[0]} | "]
    assert asked[3]["texts"] == [f"{start}And y? | 3 <OR> three | {said[1]} | \nOnly the mark: "]

    scores = score(out, results, "--verdicts", str(verdicts))
    assert {name: row["value"] for (_, name), row in scores.items()} == {
        "total": 50.0,
        "math": 50.0,
        "ocr": 25.0,
        "rec": 100.0,
        "exactly math_ocr": 50.0,
        "exactly ocr": 0.0,
        "exactly rec": 100.0,
    }
    assert scores["official", "total"]["unparsed"] == 1
    notes = json.loads((out / "scores.json").read_text())["arms"]["plain"]["notes"]
    assert notes[0].startswith("Judged by m; the authors asked gpt-4-0613, with other prompts (")


def test_several_verdicts_have_a_spread(folder: Path, tmp_path: Path, server: ServerProcess, profiles: Path) -> None:
    out = tmp_path / "out"
    read("mm-vet", folder, out, "--partial")
    results, checkout = ask(out), mm_vet_checkout(tmp_path / "checkout")
    server.misbehave(*says("1", "0", "0.5", "1", "1", "1"))
    assert judge(results, out / "verdicts.jsonl", checkout, profiles, "--runs", "2") == 0
    scores = score(out, results, "--verdicts", str(out / "verdicts.jsonl"))
    assert scores["official", "total"]["value"] == 75.0
    assert scores["official", "total, spread of 2 verdicts"]["value"] == 25.0


def test_the_hub_holds_the_same(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"question_id": key, "image": picture_bytes(tmp_path, number), "question": entry["question"]}
        | {"answer": entry["answer"], "capability": ",".join(entry["capability"])}
        for number, (key, entry) in enumerate(ENTRIES.items())
    ]
    write_parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet", rows)
    hub = read("mm-vet", tmp_path / "hub", tmp_path / "hub out", "--partial")
    own = read("mm-vet", folder, tmp_path / "out", "--partial")
    for one, other in zip(hub, own, strict=True):
        assert (one.id, one.question, one.kind) == (other.id, other.question, other.kind)
        assert {**one.meta, "group": ""} == {**other.meta, "group": ""}


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, out = ("data", "read", "mm-vet"), ("--out", tmp_path / "out")
    assert "3 questions of MM-Vet, test, which has 218" in refusal(capsys, *command, folder, *out)
    (folder / "images" / "v1_2.jpg").unlink()
    assert "v1_2.jpg (of mm-vet/test/v1_2)" in refusal(capsys, *command, folder, *out, "--partial")
    (folder / "mm-vet.json").write_text(json.dumps({"v1_0": {"question": "?"}}))
    assert "an entry has no 'answer'" in refusal(capsys, *command, folder, *out, "--partial")
    (folder / "mm-vet.json").write_text("[]")
    assert "is no object in braces" in refusal(capsys, *command, folder, *out, "--partial")
    (folder / "mm-vet.json").write_text('{"v1_0": {"question"')
    assert "is no JSON, or is cut" in refusal(capsys, *command, folder, *out, "--partial")
