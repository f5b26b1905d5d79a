"""MME: both layouts of its folders, JPEG and PNG, pairs, and the lines that its program takes."""

from pathlib import Path

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.data_set import NOTHING_MORE
from pack.api_core.evaluation.official.mme import MME
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

ASKED = "Is there a {} in this picture? Please answer yes or no."
TREE = {"existence": ("0001.jpg", "0002.jpg"), "code_reasoning": ("0020.png",), "posters": ("tt1.jpg",)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two flat subtasks, one of them of PNG, and one in folders; one file has a mark and the line ends of Windows."""
    top = tmp_path / "MME_Benchmark_release_version"
    for subtask, names in TREE.items():
        for number, name in enumerate(names):
            parted = subtask == "posters"
            draw(top / subtask / ("images" if parted else ".") / name, number)
            text = f"{ASKED.format('star')}\tYes\n{ASKED.format('moon')}\tNo\n"
            path = top / subtask / ("questions_answers_YN" if parted else ".") / f"{Path(name).stem}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() if number else text.encode())
    return tmp_path


def test_all_the_way(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = read("mme", folder, out, "--partial")
    assert [case.id for case in cases] == [f"mme/test/{number}" for number in range(8)]
    assert [case.kind for case in cases] == ["existence"] * 4 + ["posters"] * 2 + ["code_reasoning"] * 2
    assert cases[0].query == ASKED.format("star")
    assert cases[0].question == f"{cases[0].query} Answer the question using a single word or phrase."
    assert [case.answers for case in cases[:2]] == [("Yes",), ("No",)]
    assert cases[2].meta["group"] == cases[3].meta["group"] != cases[0].meta["group"]
    results = ask(out)
    scores = score(out, results)
    assert {name for rule, name in scores if rule == "official"} == {"perception", "cognition", *TREE}
    assert scores["api-280", "accuracy"]["n"] == 4
    lines = [line.split("\t") for line in (export(out, results, "mme") / "existence.txt").read_text().splitlines()]
    said = answers_of(results)
    assert lines == [
        [name, ASKED.format(thing), truth, said[f"mme/test/{number}"]]
        for number, (name, thing, truth) in enumerate(
            (name, *pair) for name in TREE["existence"] for pair in (("star", "Yes"), ("moon", "No"))
        )
    ]


def test_the_hub_holds_the_same(tmp_path: Path) -> None:
    rows = [
        {"question_id": "existence/1.png", "image": picture_bytes(tmp_path, 1), "question": ASKED.format(thing)}
        | {"answer": truth, "category": "existence"}
        for thing, truth in (("star", "Yes"), ("moon", "No"))
    ]
    write_parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet", rows)
    cases = read("mme", tmp_path / "hub", tmp_path / "out", "--partial", "--wording", "bare")
    assert [case.question for case in cases] == [row["question"] for row in rows]
    assert [case.meta["group"] for case in cases] == ["existence/1.png"] * 2
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 1
    assert cases[0].load().shape == (56, 56, 3)


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("data", "read", "mme")
    out = ("--out", tmp_path / "out")
    assert "2374" in refusal(capsys, *command, tmp_path / "nowhere", *out)
    assert "8 questions of MME, test, which has 2374" in refusal(capsys, *command, folder, *out)
    top = folder / "MME_Benchmark_release_version"
    (top / "existence" / "0001.jpg").unlink()
    assert "0001.jpg" in refusal(capsys, *command, folder, *out, "--partial")
    (top / "existence" / "0002.txt").write_text("Is there a sta")
    assert "0002.txt has a line" in refusal(capsys, *command, folder, *out, "--partial")
    assert not (tmp_path / "out").exists()


def case(number: int, truth: str) -> QuestionCase:
    group = f"existence/{number // 2}.jpg"
    return QuestionCase(
        f"mme/test/{number}", Path("p.jpg"), "?", (truth,), kind="existence", meta={"group": group, "truth": truth}
    )


def test_a_pair_counts_twice_and_a_failed_case_leaves_its_pair_out() -> None:
    cases = [case(number, truth) for number, truth in enumerate(("yes", "no") * 4)]
    said = ("Yes.", "know", "There is no such thing", "no", "YES", "no", "no", "no")
    answers = dict(zip((case.id for case in cases), said, strict=True))
    row = MME.score(cases, answers, "official", NOTHING_MORE)["existence"]
    assert row.value == 6 / 8 * 100 + 2 / 4 * 100
    assert (row.n, row.failed, row.unparsed) == (8, 0, 1)
    assert row.half == 75  # a draw has 0 to 4 fine pictures, 50 to 200 points, each end in one draw of sixteen
    del answers["mme/test/7"]
    row = MME.score(cases, answers, "official", NOTHING_MORE)["existence"]
    assert row.value == 5 / 7 * 100 + 2 / 3 * 100
    assert (row.n, row.failed) == (7, 1)
