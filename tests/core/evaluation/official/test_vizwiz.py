"""VizWiz: answers as objects or texts, what nobody can answer, and the test split whose truth is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.data_set import NOTHING_MORE
from pack.api_core.evaluation.official.vizwiz import VIZWIZ
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


def people(*said: str) -> list[dict[str, str]]:
    return [{"answer": one, "answer_confidence": "yes" if one else "no"} for one in said]


ENTRIES: list[dict[str, Any]] = [
    {
        "image": "VizWiz_val_00000000.jpg",
        "question": "What is this?",
        "answers": people(*["star"] * 7, "", "sun", "sky"),
    }
    | {"answer_type": "other", "answerable": 1},
    {"image": "VizWiz_val_00000001.jpg", "question": "Ok. There is another picture.", "answer_type": "unanswerable"}
    | {"answers": people(*["unanswerable"] * 9, "blank"), "answerable": 0},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "vizwiz"
    for split in ("val", "test"):
        entries = [entry | {"image": entry["image"].replace("val", split)} for entry in ENTRIES]
        for number, entry in enumerate(entries):
            draw(top / split / entry["image"], number)
        kept = ("image", "question") if split == "test" else tuple(ENTRIES[0])
        (top / f"{split}.json").write_text(json.dumps([{name: one[name] for name in kept} for one in entries]))
    return top


def test_all_the_way(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = read("vizwiz", folder, out, "--partial")
    assert [(case.id, case.kind) for case in cases] == [("vizwiz/val/0", "other"), ("vizwiz/val/1", "unanswerable")]
    assert cases[0].question == (
        "What is this? When the provided information is insufficient, respond with 'Unanswerable'. "
        "Answer the question using a single word or phrase."
    )
    assert cases[0].meta["answers"] == ["star"] * 7 + ["", "sun", "sky"]
    assert [case.meta["answerable"] for case in cases] == [1, 0]
    results = ask(out)
    scores = score(out, results)
    names = {"accuracy", "other", "unanswerable", "unanswerable, average precision", "unanswerable, F1"}
    assert set(scores) == {(rule, name) for rule in ("official", "m4c") for name in names}
    said = answers_of(results)
    assert json.loads(export(out, results, "vizwiz.json").read_text()) == [
        {"image": entry["image"], "answer": said[f"vizwiz/val/{number}"]} for number, entry in enumerate(ENTRIES)
    ]


def test_the_test_split_is_asked_and_exported_but_not_scored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    cases = read("vizwiz", folder, out, "--partial", "--split", "test", "--wording", "bare")
    assert [case.question for case in cases] == [entry["question"] for entry in ENTRIES]
    results = ask(out)
    assert len(json.loads(export(out, results, "vizwiz.json").read_text())) == 2
    assert "server knows" in refusal(capsys, "score", results, "--cases", out / "cases.jsonl")


def test_the_hub_holds_texts(tmp_path: Path) -> None:
    rows = [
        {"question_id": entry["image"], "image": picture_bytes(tmp_path, number, ".jpg"), "question": entry["question"]}
        | {"answers": [one["answer"] for one in entry["answers"]], "category": entry["answer_type"]}
        for number, entry in enumerate(ENTRIES)
    ]
    write_parquet(tmp_path / "hub" / "data" / "val-00000-of-00001.parquet", rows)
    cases = read("vizwiz", tmp_path / "hub", tmp_path / "out", "--partial")
    assert [case.meta["answerable"] for case in cases] == [1, 0]
    assert [case.kind for case in cases] == ["other", "unanswerable"]
    assert cases[0].meta["answers"] == ["star"] * 7 + ["", "sun", "sky"]


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, out = ("data", "read", "vizwiz"), ("--out", tmp_path / "out")
    assert "2 questions of VizWiz, val, which has 4319" in refusal(capsys, *command, folder, *out)
    (folder / "val" / "VizWiz_val_00000001.jpg").unlink()
    assert "VizWiz_val_00000001.jpg" in refusal(capsys, *command, folder, *out, "--partial")
    (folder / "val.json").write_text(json.dumps([ENTRIES[0] | {"answers": people("star")}]))
    assert "has the answers of 1 people, not of 10" in refusal(capsys, *command, folder, *out, "--partial")
    (folder / "val.json").write_text("[{")
    assert "val.json is no JSON, or is cut" in refusal(capsys, *command, folder, *out, "--partial")
    (folder / "val.json").unlink()
    assert "There is no val.json in or below" in refusal(capsys, *command, folder, *out, "--partial")


def case(number: int, answers: list[str], answerable: int) -> QuestionCase:
    meta = {"group": str(number), "answers": answers, "answerable": answerable}
    return QuestionCase(f"vizwiz/val/{number}", Path("p.jpg"), "?", kind="other" if answerable else "none", meta=meta)


def test_the_rules_and_what_has_no_answer() -> None:
    cases = [case(0, ["Star"] * 10, 1), case(1, ["2"] * 10, 1)]
    cases += [case(number, ["unanswerable"] * 10, 0) for number in (2, 3)]
    said = ("star", "unanswerable", "Unanswerable.", "a star")
    answers = {case.id: text for case, text in zip(cases, said, strict=True)}
    official = VIZWIZ.score(cases, answers, "official", NOTHING_MORE)
    assert official["accuracy"].value == 25.0
    assert VIZWIZ.score(cases, answers, "m4c", NOTHING_MORE)["accuracy"].value == 50.0
    assert official["none"].value == 50.0
    # one of two that were said is right, and one of two is found: half at a precision of .5, half at the base of .5
    assert official["unanswerable, average precision"].value == 50.0
    assert official["unanswerable, F1"].value == 50.0
    never = VIZWIZ.score(cases, dict.fromkeys(answers, "star"), "official", NOTHING_MORE)
    assert (never["unanswerable, average precision"].value, never["unanswerable, F1"].value) == (50.0, 0.0)
