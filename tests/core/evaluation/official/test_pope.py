"""POPE: lines and arrays, both names of a file, pictures apart, and its four ways to read an answer."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.data_set import NOTHING_MORE
from pack.api_core.evaluation.official.pope import POPE
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


def entries(suffix: str) -> list[dict[str, Any]]:
    return [
        {"question_id": 1, "image": f"1{suffix}.jpg", "text": "Is there a star in the image?", "label": "yes"},
        {"question_id": 2, "image": f"1{suffix}.jpg", "text": "Is there a moon in the imange?", "label": "no"},
        {"question_id": 3, "image": f"2{suffix}.jpg", "text": "Is there a heart in the image?", "label": "no"},
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """COCO's as lines, with a mark and the line ends of Windows; GQA's as one array, under the longer name."""
    top = tmp_path / "output"
    (top / "coco").mkdir(parents=True)
    (top / "seem" / "gqa").mkdir(parents=True)
    for drawn in ("random", "popular", "adversarial"):
        lines = "".join(json.dumps(entry) + "\r\n" for entry in entries(""))
        (top / "coco" / f"coco_pope_{drawn}.json").write_bytes(b"\xef\xbb\xbf" + lines.encode())
        (top / "seem" / "gqa" / f"gqa_pope_seem_{drawn}.json").write_text(json.dumps(entries("g"), indent=1))
    for number in (1, 2):
        draw(tmp_path / "pictures" / "val2014" / f"{number}.jpg", number)
        draw(tmp_path / "pictures" / "gqa" / "images" / f"{number}g.jpg", number)
    return top


def test_all_the_way(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = read("pope", folder, out, "--pictures", str(tmp_path / "pictures"), "--partial")
    assert [case.id for case in cases[:4]] == [f"pope/coco-random/{n}" for n in (1, 2, 3)] + ["pope/coco-popular/1"]
    assert cases[1].question == "Is there a moon in the imange?"
    assert cases[0].picture == tmp_path / "pictures" / "val2014" / "1.jpg"
    assert cases[0].meta["group"] == cases[1].meta["group"] == cases[3].meta["group"] != cases[2].meta["group"]
    results = ask(out)
    scores = score(out, results)
    assert {rule for rule, _ in scores} == {"official", "avisc", "vcd", "ours"}
    assert scores["official", "coco-random accuracy"]["n"] == 3
    mean = sum(scores["ours", f"coco-{drawn} accuracy"]["value"] for drawn in ("random", "popular", "adversarial")) / 3
    assert scores["ours", "coco mean accuracy"]["value"] == pytest.approx(mean)
    written = export(out, results, "pope")
    lines = [json.loads(line) for line in (written / "coco-popular.jsonl").read_text().splitlines()]
    said = answers_of(results)
    assert [(line["question_id"], line["text"]) for line in lines] == [
        (number, said[f"pope/coco-popular/{number}"]) for number in (1, 2, 3)
    ]


def test_an_array_is_read_too_and_a_part_alone(folder: Path, tmp_path: Path) -> None:
    where = ("--pictures", str(tmp_path / "pictures"), "--partial")
    cases = read("pope", folder, tmp_path / "out", *where, "--split", "gqa-popular", "--wording", "short")
    assert [case.id for case in cases] == [f"pope/gqa-popular/{number}" for number in (1, 2, 3)]
    assert cases[0].question.endswith("image?\nAnswer the question using a single word or phrase.")
    assert cases[0].query == entries("g")[0]["text"]


def test_the_hub_holds_the_parts_of_coco(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = tmp_path / "hub"
    for drawn in ("random", "popular", "adversarial"):
        rows = [
            {"question_id": str(entry["question_id"]), "question": entry["text"], "answer": entry["label"]}
            | {"image_source": entry["image"][:-4], "category": drawn, "image": picture_bytes(tmp_path, 1, ".jpg")}
            for entry in entries("")
        ]
        write_parquet(hub / "Full" / f"{drawn}-00000-of-00001.parquet", rows)
    cases = read("pope", hub, tmp_path / "out", "--partial")
    assert [case.kind for case in cases] == [
        f"coco-{d}" for d in ("random", "popular", "adversarial") for _ in range(3)
    ]
    said = refusal(capsys, "data", "read", "pope", hub, "--out", tmp_path / "out", "--split", "gqa")
    assert "COCO's questions alone" in said


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("data", "read", "pope", folder, "--out", tmp_path / "out")
    pictures = ("--pictures", tmp_path / "pictures")
    assert "9 questions of POPE, coco, which has 9000" in refusal(capsys, *command, *pictures)
    assert "9 of 2 pictures" not in (said := refusal(capsys, *command, "--partial"))
    assert "2 of 2 pictures are not there" in said
    assert "has no split 'coco-odd'" in refusal(capsys, *command, "--split", "coco-odd")
    path = folder / "coco" / "coco_pope_popular.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert "coco_pope_popular.json, line 3 is no JSON, or is cut" in refusal(capsys, *command, *pictures, "--partial")
    path = folder / "seem" / "gqa" / "gqa_pope_seem_random.json"
    path.write_text(path.read_text()[:-20])
    assert "is no JSON, or is cut" in refusal(capsys, *command, *pictures, "--partial", "--split", "gqa")
    assert "aokvqa_pope_random.json" in refusal(capsys, *command, *pictures, "--partial", "--split", "aokvqa")


def cases_of(truths: str) -> list[QuestionCase]:
    return [
        QuestionCase(
            f"pope/coco-random/{number}",
            Path("p.jpg"),
            "?",
            kind="coco-random",
            meta={"group": str(number), "truth": {"y": "yes", "n": "no"}[truth]},
        )
        for number, truth in enumerate(truths)
    ]


def figures(truths: str, said: list[str], rule: str) -> dict[str, float]:
    cases = cases_of(truths)
    answers = dict(zip((case.id for case in cases), said, strict=True))
    table = POPE.score(cases, answers, rule, NOTHING_MORE)
    return {row.name.removeprefix("coco-random "): row.value for row in table.rows}


def test_the_same_answers_by_four_rules() -> None:
    truths, said = "yynnn", ["Yes", "NO.", "NO", "There isn't one", "Hm. No"]
    official, avisc, ours = (figures(truths, said, rule) for rule in ("official", "avisc", "ours"))
    assert official == pytest.approx(
        {"accuracy": 40, "precision": 40, "recall": 100, "F1": 200 * 0.4 / 1.4, "yes ratio": 100}
    )
    assert avisc["accuracy"] == 80
    assert avisc["yes ratio"] == 20
    vcd = figures(truths, [*said[:4], "Nothing, yes"], "vcd")  # "NO." where it is true, "isn't", "Nothing" where it is
    assert (vcd["accuracy"], vcd["yes ratio"]) == (60, 40)
    assert ours["accuracy"] == 60  # "There isn't one" is neither
    assert ours["yes ratio"] == 20
    nothing = figures("nn", ["no", "no"], "official")
    assert nothing["accuracy"] == 100
    assert math.isnan(nothing["precision"])
    assert math.isnan(nothing["F1"])
