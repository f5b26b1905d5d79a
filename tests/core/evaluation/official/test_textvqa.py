"""TextVQA: its file and pictures, the hub's rows, ten answers, and the lines that LLaVA's program takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.data_set import NOTHING_MORE
from pack.api_core.evaluation.official.textvqa import FILE, TEXTVQA
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

SHORT = "Answer the question using a single word or phrase."
ENTRIES: list[dict[str, Any]] = [
    {"question_id": 34602, "image_id": "003a8ae2ef43b901", "question": "what is written on the red star?"}
    | {"answers": ["Stop"] * 4 + ["the stop!"] * 4 + ["go", ""]},
    {"question_id": 34603, "image_id": "003a8ae2ef43b901", "question": "how many stars?", "answers": ["two"] * 10},
    {"question_id": 34604, "image_id": "004", "question": "what brand?", "answers": ["a-b", "1,000"] * 5},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The file has a byte order mark and the line ends of Windows."""
    top = tmp_path / "textvqa"
    for number, entry in enumerate(ENTRIES[::2]):
        draw(top / "train_images" / f"{entry['image_id']}.jpg", number)
    text = json.dumps({"dataset_type": "val", "data": ENTRIES}, indent=1)
    (top / FILE).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    return top


def test_all_the_way(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = read("textvqa", folder, out, "--partial")
    assert [case.id for case in cases] == ["textvqa/val/0", "textvqa/val/1", "textvqa/val/2"]
    assert cases[0].question == f"what is written on the red star? {SHORT}"
    assert cases[0].map_query == "what is written on the red star?"
    assert cases[0].meta == {"group": "003a8ae2ef43b901", "answers": ENTRIES[0]["answers"]}
    results = ask(out)
    scores = score(out, results)
    assert set(scores) == {("official", "accuracy"), ("vqa-v2", "accuracy")}
    assert scores["official", "accuracy"]["n"] == 3
    lines = [json.loads(line) for line in export(out, results, "textvqa.jsonl").read_text().splitlines()]
    said = answers_of(results)
    assert [(line["question_id"], line["prompt"], line["text"]) for line in lines] == [
        (entry["image_id"], f"{entry['question']}\n{SHORT}", said[f"textvqa/val/{number}"])
        for number, entry in enumerate(ENTRIES)
    ]


def test_the_hub_holds_the_same(tmp_path: Path) -> None:
    rows = [entry | {"image": picture_bytes(tmp_path, 1, ".jpg"), "ocr_tokens": ["STOP"]} for entry in ENTRIES]
    write_parquet(tmp_path / "hub" / "data" / "validation-00000-of-00001.parquet", rows)
    write_parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet", [rows[0] | {"answers": []}])
    cases = read("textvqa", tmp_path / "hub", tmp_path / "out", "--partial", "--wording", "bare")
    assert [case.question for case in cases] == [entry["question"] for entry in ENTRIES]
    assert [case.meta["answers"] for case in cases] == [entry["answers"] for entry in ENTRIES]


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, out = ("data", "read", "textvqa"), ("--out", tmp_path / "out")
    assert "5000" in refusal(capsys, *command, tmp_path / "nowhere", *out)
    assert "3 questions of TextVQA, val, which has 5000" in refusal(capsys, *command, folder, *out)
    (folder / "train_images" / "004.jpg").unlink()
    assert "004.jpg (of textvqa/val/2)" in refusal(capsys, *command, folder, *out, "--partial")
    nine = json.dumps({"data": [ENTRIES[1] | {"answers": ["two"] * 9}]})
    (folder / FILE).write_text(nine)
    assert "has the answers of 9 people, not of 10" in refusal(capsys, *command, folder, *out, "--partial")
    (folder / FILE).write_text(nine[:-30])
    assert f"{FILE} is no JSON, or is cut" in refusal(capsys, *command, folder, *out, "--partial")
    assert not (tmp_path / "out").exists()


def test_of_one_question_asked_twice_the_last_people_count_for_both() -> None:
    cases = [
        QuestionCase(
            f"textvqa/val/{number}", Path("p.jpg"), "", query=text, meta={"group": "p", "answers": [said] * 10}
        )
        for number, (text, said) in enumerate((("What?", "one"), ("what?", "two"), ("Why?", "three")))
    ]
    answers = {case.id: "two" for case in cases}
    assert TEXTVQA.score(cases, answers, "official", NOTHING_MORE)["accuracy"].value == pytest.approx(200 / 3)
    assert TEXTVQA.score(cases, answers, "vqa-v2", NOTHING_MORE)["accuracy"].value == pytest.approx(33.33)


def test_the_rules_differ_where_all_agree() -> None:
    cases = [
        QuestionCase(f"textvqa/val/{number}", Path("p.jpg"), "?", meta={"group": f"p{number}", "answers": answers})
        for number, answers in enumerate((["two"] * 10, ["Stop"] * 4 + ["go"] * 6))
    ]
    answers = {"textvqa/val/0": "2", "textvqa/val/1": "a stop."}
    official = TEXTVQA.score(cases, answers, "official", NOTHING_MORE)["accuracy"]
    assert (official.value, official.n) == (100.0, 2)
    assert TEXTVQA.score(cases, answers, "vqa-v2", NOTHING_MORE)["accuracy"].value == 50.0
    del answers["textvqa/val/0"]
    official = TEXTVQA.score(cases, answers, "official", NOTHING_MORE)["accuracy"]
    assert (official.value, official.n, official.failed) == (100.0, 1, 1)
