"""MMMU: options and answers as texts of lists, subjects in order, letters by lot, and what its two programs take."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.data_set import NOTHING_MORE, Answers
from pack.api_core.evaluation.official.mmmu import DOMAINS, MMMU, SUBJECTS
from pack.tests.core.evaluation.official.round_trip import (
    answers_of,
    ask,
    export,
    picture_bytes,
    read,
    refusal,
    score,
    write_parquet,
)

ROWS: list[dict[str, Any]] = [
    {"id": "validation_Art_1", "question": "Which star is <image 1>?", "options": "['red', \"the artist's\"]"}
    | {"answer": "B", "question_type": "multiple-choice"},
    {"id": "validation_Art_2", "question": "How much?", "options": "[]", "answer": "['1/8', '.125']"}
    | {"question_type": "open"},
    {"id": "validation_Accounting_1", "question": "What is owed?", "options": "['$6', '$7', '<image 2>']"}
    | {"answer": "A", "question_type": "multiple-choice"},
    {"id": "validation_Accounting_2", "question": "How many?", "options": "[]", "answer": "12"}
    | {"question_type": "open"},
]


def write(folder: Path, rows: list[dict[str, Any]], *, parted: bool = True) -> Path:
    """As the hub has them: a folder for each subject, or one file of all. Other splits lie beside them."""
    rows = [row | {"image_1": picture_bytes(folder.parent, number)} for number, row in enumerate(rows)]
    for subject in ("Art", "Accounting") if parted else ("",):
        own = [row for row in rows if f"_{subject}" in row["id"]]
        write_parquet(folder / (subject or "data") / "validation-00000-of-00001.parquet", own)
        write_parquet(folder / (subject or "data") / "test-00000-of-00001.parquet", own)
    return folder


def test_all_the_way(tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = read("mmmu", write(tmp_path / "hub", ROWS), out, "--partial")
    names = [row["id"] for row in (*ROWS[2:], *ROWS[:2])]
    assert [case.id for case in cases] == [f"mmmu/validation/{number}" for number in range(4)]
    assert [case.meta["mmmu_id"] for case in cases] == names
    assert cases[0].question == (
        "What is owed?\n\n(A) $6\n(B) $7\n(C) <image 2>\n\n\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert cases[1].question == "How many?\n\nAnswer the question using a single word or phrase."
    assert cases[2].query == "Which star is <image 1>?"
    assert cases[2].meta["options"] == {"A": "red", "B": "the artist's"}
    assert [case.meta["truths"] for case in cases] == [["A"], ["12"], ["B"], ["1/8", ".125"]]
    results = ask(out)
    scores = score(out, results)
    figures = {"overall", "Art and Design", "Art", "Business", "Accounting"}
    assert set(scores) == {(rule, name) for rule in ("official", "unparsed-wrong") for name in figures}
    folder, said = export(out, results, "mmmu"), answers_of(results)
    accounting = json.loads((folder / "Accounting" / "output.json").read_text())
    assert accounting == [
        {"id": "validation_Accounting_1", "question_type": "multiple-choice", "answer": "A"}
        | {"all_choices": ["A", "B", "C"], "index2ans": {"A": "$6", "B": "$7", "C": "<image 2>"}}
        | {"response": said["mmmu/validation/0"]},
        {"id": "validation_Accounting_2", "question_type": "open", "answer": "12"}
        | {"response": said["mmmu/validation/1"]},
    ]
    art = json.loads((folder / "Art" / "output.json").read_text())
    assert art[1]["answer"] == ["1/8", ".125"]
    total = json.loads((folder / "total_val_output.json").read_text())
    assert list(total) == names
    assert total["validation_Accounting_1"] in ("A", "B", "C")
    assert total["validation_Art_2"] == said["mmmu/validation/3"]


def test_one_file_of_all_subjects_holds_the_same(tmp_path: Path) -> None:
    for name in ("parted", "merged"):
        read("mmmu", write(tmp_path / name, ROWS, parted=name == "parted"), tmp_path / f"{name} out", "--partial")
    parted, merged = ((tmp_path / f"{name} out" / "cases.jsonl").read_text() for name in ("parted", "merged"))
    assert parted == merged


def test_the_further_pictures_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    rows = [ROWS[2] | {"image_2": picture_bytes(tmp_path, 9), "image_3": None}, ROWS[0] | {"image_2": None}]
    folder, out = write(tmp_path / "hub", rows), tmp_path / "out"
    cases = read("mmmu", folder, out, "--partial", "--wording", "all-pictures")
    assert [len(case.more_pictures) for case in cases] == [1, 0]
    assert cases[0].more_pictures[0].is_file()
    assert len(answers_of(ask(out))) == 2
    assert not read("mmmu", folder, tmp_path / "first", "--partial")[0].more_pictures


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, out = ("data", "read", "mmmu"), ("--out", tmp_path / "out", "--partial")
    (tmp_path / "empty").mkdir()
    assert "no parquet files validation-" in refusal(capsys, *command, tmp_path / "empty", *out)
    for number, (change, says) in enumerate(
        [
            ({"options": "['red', 'blue"}, "options of validation_Art_1 is no list"),
            ({"answer": "D"}, "The answer 'D' to validation_Art_1 is none of its 2 options"),
            ({"id": "validation_Alchemy_1"}, "MMMU has no subject 'Alchemy'"),
        ]
    ):
        folder = write(tmp_path / str(number), [ROWS[0] | change], parted=False)
        assert says in refusal(capsys, *command, folder, *out)
    folder = write(tmp_path / "cut", ROWS[:2], parted=False)
    file = folder / "data" / "validation-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-50])
    assert "cannot be read; is it whole?" in refusal(capsys, *command, folder, *out)
    folder = write(tmp_path / "few", ROWS[:2], parted=False)
    assert "2 questions of MMMU, validation, which has 900" in refusal(capsys, *command, folder, *out[:2])


def case(number: int, subject: str, truth: str, letters: str = "ABCD") -> QuestionCase:
    meta = {"mmmu_id": f"validation_{subject}_{number}", "type": "multiple-choice" if letters else "open"}
    meta |= {"options": {letter: f"text {letter}" for letter in letters}, "truths": [truth]}
    return QuestionCase(f"mmmu/validation/{number}", Path("p.png"), "?", kind=subject, meta=meta)


def test_there_are_thirty_subjects() -> None:
    assert len(SUBJECTS) == 30
    assert sum(map(len, DOMAINS.values())) == 30


def test_letters_are_drawn_in_the_order_of_the_subjects() -> None:
    cases = [case(number, ("Sociology", "Accounting")[number % 2], "ABCD"[number % 4]) for number in range(40)]
    answers: Answers = {one.id: "who knows" for one in cases}
    lots = random.Random(42)
    in_order = [one for subject in ("Accounting", "Sociology") for one in cases if one.kind == subject]
    right = {one.id: lots.choice("ABCD") in one.meta["truths"] for one in in_order}
    row = MMMU.score(cases, answers, "official", NOTHING_MORE)["overall"]
    assert row.value == pytest.approx(100 * sum(right.values()) / 40)
    assert 0 < row.value < 100
    assert row.unparsed == 40
    assert MMMU.score(cases, answers, "unparsed-wrong", NOTHING_MORE)["overall"].value == 0


def test_accuracies_are_by_subject_domain_and_all() -> None:
    cases = [case(0, "Art", "A"), case(1, "Art", "B"), case(2, "Music", "C"), case(3, "Math", "12", "")]
    answers = {"mmmu/validation/0": "A", "mmmu/validation/1": "A", "mmmu/validation/3": "so it is 12.00"}
    table = MMMU.score(cases, answers, "unparsed-wrong", NOTHING_MORE)
    found = {row.name: (row.value, row.n, row.failed) for row in table.rows if row.n}
    assert found == {
        "overall": (pytest.approx(66.7), 3, 1),
        "Art and Design": (50.0, 2, 1),
        "Art": (50.0, 2, 0),
        "Science": (100.0, 1, 0),
        "Math": (100.0, 1, 0),
    }
