"""LLaVA-Bench in the Wild: its three files, the hub's rows, and a judge whose failures are averaged in."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.tests.core.evaluation.official.judging import judge, llava_checkout, says, verdicts_in
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

QUESTIONS: list[dict[str, Any]] = [
    {"question_id": 0, "image": "001.jpg", "category": "conv", "text": "Which star is red?"},
    {"question_id": 1, "image": "001.jpg", "category": "detail", "text": "Describe it."},
    {"question_id": 2, "image": "002.jpg", "category": "conv", "text": "How many?"},
]
CONTEXTS: list[dict[str, Any]] = [
    {"image": "001.jpg", "caption": ["A red star.", "A blue moon."]},
    {"image": "002.jpg", "caption": "Two suns."},
]


def write_lines(path: Path, entries: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(entry) + "\r\n" for entry in entries), encoding="utf-8", newline="")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "llava-bench-in-the-wild"
    for number, entry in enumerate(CONTEXTS):
        draw(top / "images" / entry["image"], number)
    write_lines(top / "questions.jsonl", QUESTIONS)
    write_lines(top / "context.jsonl", CONTEXTS)
    references = [{"question_id": one["question_id"], "text": f"reference {one['question_id']}"} for one in QUESTIONS]
    write_lines(top / "answers_gpt4.jsonl", references[::-1])
    return top


def test_all_the_way(
    folder: Path, tmp_path: Path, server: ServerProcess, profiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    cases = read("llava-bench", folder, out, "--partial")
    assert [case.id for case in cases] == [f"llava-bench/test/{number}" for number in range(3)]
    assert [case.question for case in cases] == [one["text"] for one in QUESTIONS]
    results = ask(out)
    said = list(answers_of(results).values())
    lines = [json.loads(line) for line in export(out, results, "llava.jsonl").read_text().splitlines()]
    assert [(line["question_id"], line["text"], line["answer_id"]) for line in lines] == [
        (number, text, "") for number, text in enumerate(said)
    ]
    assert "judge RESULTS.jsonl" in refusal(capsys, "score", results, "--cases", out / "cases.jsonl")

    server.misbehave(*says("9 6\nThe first is better.", "8 4", "8, 9\nBoth are good."))
    verdicts = out / "verdicts.jsonl"
    assert judge(results, verdicts, llava_checkout(tmp_path / "checkout"), profiles) == 0
    assert verdicts_in(verdicts)[0]["said"] == ["9 6\nThe first is better."]
    asked = server.requests
    assert [one["settings"]["temperature"] for one in asked] == [0.2] * 3
    assert asked[0]["settings"]["max_tokens"] == 1024
    assert asked[0]["texts"] == [
        "Be fair.",
        "[Context]\nA red star.\nA blue moon.\n\n[Question]\nWhich star is red?\n\n[Helper 1]\nreference 0\n\n"
        f"[End of Helper 1]\n\n[Helper 2]\n{said[0]}\n\n[End of Helper 2]\n\n[System]\nCompare conv.\n\n",
    ]
    scores = score(out, results, "--verdicts", str(verdicts))
    found = {key: row["value"] for key, row in scores.items()}
    assert found == {
        ("official", "all"): 56.3,  # 3.0 of 5.333
        ("official", "all, reference"): 53.3,
        ("official", "all, model"): 30.0,
        ("official", "conv"): 62.5,
        ("official", "conv, reference"): 40.0,
        ("official", "conv, model"): 25.0,
        ("official", "detail"): 50.0,
        ("official", "detail, reference"): 80.0,
        ("official", "detail, model"): 40.0,
        ("without-failures", "all"): 58.8,
        ("without-failures", "all, reference"): 85.0,
        ("without-failures", "all, model"): 50.0,
        ("without-failures", "conv"): 66.7,
        ("without-failures", "conv, reference"): 90.0,
        ("without-failures", "conv, model"): 60.0,
        ("without-failures", "detail"): 50.0,
        ("without-failures", "detail, reference"): 80.0,
        ("without-failures", "detail, model"): 40.0,
    }
    assert {scores[rule, "all"]["unparsed"] for rule in ("official", "without-failures")} == {1}
    notes = json.loads((out / "scores.json").read_text())["arms"]["plain"]["notes"]
    assert "official: 1 replies without two marks count as -1 and -1, in both means." in notes


def test_the_hub_holds_the_same(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"question_id": one["question_id"], "question": one["text"], "category": one["category"]}
        | {"image": picture_bytes(tmp_path, number), "caption": "A red star.", "gpt_answer": f"reference {number}"}
        for number, one in enumerate(QUESTIONS)
    ]
    write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet", rows)
    hub = read("llava-bench", tmp_path / "hub", tmp_path / "hub out", "--partial")
    own = read("llava-bench", folder, tmp_path / "out", "--partial")
    for one, other in zip(hub, own, strict=True):
        assert (one.id, one.question, one.kind) == (other.id, other.question, other.kind)
        assert one.meta["reference"] == other.meta["reference"]


def test_an_export_that_would_shift_lines_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    read("llava-bench", folder, out, "--partial")
    results = ask(out)
    lines = results.read_text(encoding="utf-8").splitlines()
    results.write_text("\n".join([lines[0], lines[2]]) + "\n", encoding="utf-8")
    command = ("export", results, "--cases", out / "cases.jsonl", "--out", out / "llava.jsonl")
    assert "'llava-bench/test/1' has no answer" in refusal(capsys, *command)


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, out = ("data", "read", "llava-bench"), ("--out", tmp_path / "out")
    assert "3 questions of LLaVA-Bench in the Wild, test, which has 60" in refusal(capsys, *command, folder, *out)
    out = (*out, "--partial")
    (folder / "images" / "002.jpg").unlink()
    assert "002.jpg (of llava-bench/test/2)" in refusal(capsys, *command, folder, *out)
    write_lines(folder / "questions.jsonl", [QUESTIONS[0] | {"category": "poem"}])
    assert "category 'poem'" in refusal(capsys, *command, folder, *out)
    write_lines(folder / "questions.jsonl", QUESTIONS)
    write_lines(folder / "context.jsonl", CONTEXTS[:1])
    assert "context.jsonl has nothing on 002.jpg" in refusal(capsys, *command, folder, *out)
    (folder / "answers_gpt4.jsonl").write_text('{"question_id": 0, "te')
    assert "answers_gpt4.jsonl, line 1 is no JSON, or is cut" in refusal(capsys, *command, folder, *out)
