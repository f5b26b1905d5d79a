"""MMVP, CV-Bench and MMStar: their layouts, what is asked, and how lettered options are scored."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.cv_bench import CV_BENCH
from pack.api_core.evaluation.official.data_set import NOTHING_MORE
from pack.api_core.evaluation.official.mmvp import MMVP
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

LETTER = "Answer with the option's letter from the given choices directly."


@pytest.fixture
def mmvp(tmp_path: Path) -> Path:
    """Two pairs, one of them with swapped labels, in a file with a misspelt column, a mark and a line in quotes."""
    folder = tmp_path / "MMVP"
    rows = ["lndex,Question,Options,Correct Answer"]
    for index, right in ((1, "(a)"), (2, "(b)"), (99, "(a)"), (100, "(b)")):
        draw(folder / "MMVP Images" / f"{index}.jpg", index)
        rows.append(f'{index},"Is the star, if any, closed?","(a) It is wide open (b) Closed",{right}')
    (folder / "Questions.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*rows, ""]).encode())
    return folder


def test_mmvp_all_the_way(mmvp: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = read("mmvp", mmvp, out, "--partial")
    assert [case.id for case in cases] == [f"mmvp/test/{key}" for key in range(4)]
    assert cases[0].question == "Is the star, if any, closed? (a) It is wide open (b) Closed"
    assert cases[0].query == "Is the star, if any, closed?"
    assert cases[0].meta["options"] == ["It is wide open", "Closed"]
    assert [case.meta["original"] for case in cases] == ["A", "B", "A", "B"]
    assert [case.meta["corrected"] for case in cases] == ["A", "B", "B", "A"]
    assert [case.meta["group"] for case in cases] == ["pair 1", "pair 1", "pair 50", "pair 50"]
    results = ask(out)
    assert set(score(out, results)) == {(rule, figure) for rule in MMVP.rules for figure in ("pairs", "single")}
    lines = [json.loads(line) for line in export(out, results, "mmvp.jsonl").read_text().splitlines()]
    assert [line["question_id"] for line in lines] == [0, 1, 98, 99]
    assert [line["gt_answer"] for line in lines] == ["(a)", "(b)", "(a)", "(b)"]
    assert [line["answer"] for line in lines] == list(answers_of(results).values())


def test_mmvp_in_other_words_and_from_the_hub(mmvp: Path, tmp_path: Path) -> None:
    (case, *_) = read("mmvp", mmvp, tmp_path / "letters", "--partial", "--wording", "letters")
    assert case.question == (
        "Is the star, if any, closed?\nA. It is wide open\nB. Closed\n"
        "Answer only with the option's letter A or B from the given choices directly."
    )
    rows = [
        {"index": index, "question": "Open?", "options": "(a) Yes (b) No", "answer": right}
        | {"image": picture_bytes(tmp_path, index)}
        for index, right in ((99, "(b)"), (100, "(a)"))
    ]
    write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet", rows)
    cases = read("mmvp", tmp_path / "hub", tmp_path / "out", "--partial")
    assert [(case.meta["original"], case.meta["corrected"]) for case in cases] == [("A", "B"), ("B", "A")]


def test_mmvp_refuses(mmvp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("data", "read", "mmvp", mmvp, "--out", tmp_path / "out")
    assert "4 questions of MMVP, test, which has 300" in refusal(capsys, *command)
    path = mmvp / "Questions.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b",(b)")])
    assert "row 5 has not as many cells" in refusal(capsys, *command, "--partial")
    path.write_bytes(whole.replace(b"(b) Closed", b"Closed", 1))
    assert "question 1: not two options" in refusal(capsys, *command, "--partial")
    path.write_bytes(whole.replace(b"\r\n99,", b"\r\nninety,", 1))
    assert "a row whose number is 'ninety'" in refusal(capsys, *command, "--partial")


def test_a_pair_of_mmvp_needs_both() -> None:
    meta = {"options": ["Open", "Closed"], "original": "A", "corrected": "A"}
    cases = [
        QuestionCase(f"mmvp/test/{n}", Path("p"), "?", meta={**meta, "group": f"pair {n // 2}", "number": n + 1})
        for n in range(4)
    ]
    answers = dict(zip((case.id for case in cases), ("(a)", "Open", "A.", "The answer is: (b)"), strict=True))
    table = MMVP.score(cases, answers, "cambrian", NOTHING_MORE)
    assert (table["pairs"].value, table["single"].value) == (50, 75)
    answers["mmvp/test/3"] = "It is open, I think"
    assert MMVP.score(cases, answers, "cambrian", NOTHING_MORE)["pairs"].unparsed == 1
    assert MMVP.score(cases, answers, "ours", NOTHING_MORE)["pairs"].value == 100
    del answers["mmvp/test/0"]
    row = MMVP.score(cases, answers, "ours", NOTHING_MORE)["pairs"]
    assert (row.value, row.n, row.failed) == (100, 3, 1)


def cv_rows() -> list[dict[str, Any]]:
    places = (
        ("2D", "Count", "ADE20K"),
        ("2D", "Relation", "COCO"),
        ("3D", "Depth", "Omni3D"),
        ("3D", "Distance", "Omni3D"),
    )
    return [
        {"idx": idx, "type": kind, "task": task, "question": f"Which, {idx}?", "choices": ["left", "right", "both"]}
        | {"answer": "(B)", "prompt": f"Which, {idx}? Select.\n(A) left\n(B) right\n(C) both", "source": source}
        | {"filename": f"{kind}/{source.lower()}/{idx}.png"}
        for idx, (kind, task, source) in enumerate(places)
    ]


@pytest.mark.parametrize("layout", ["halves of lines", "lines", "halves of parquet", "parquet"])
def test_cv_bench_all_the_way(layout: str, tmp_path: Path) -> None:
    folder, out = tmp_path / "CV-Bench", tmp_path / "out"
    rows = cv_rows()
    parts = [("test", rows)] if "halves" not in layout else [("test_2d", rows[:2]), ("test_3d", rows[2:])]
    for name, some in parts:
        if "parquet" in layout:
            write_parquet(
                folder / f"{name}.parquet", [{**row, "image": picture_bytes(tmp_path, row["idx"])} for row in some]
            )
        else:
            for row in some:
                draw(folder / "img" / row["filename"], row["idx"])
            (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, some)))
    cases = read("cv-bench", folder, out, "--partial")
    assert [case.id for case in cases] == [f"cv-bench/test/{idx}" for idx in range(4)]
    assert [case.question for case in cases] == [row["prompt"] for row in rows]
    assert {case.meta["truth"] for case in cases} == {"B"}
    assert len({case.meta["group"] for case in cases}) == 4
    if layout != "lines":
        return
    results = ask(out)
    figures = {"combined", "2D", "3D", "ADE20K", "COCO", "Omni3D", "Count", "Relation", "Depth", "Distance"}
    assert set(score(out, results)) == {(rule, figure) for rule in CV_BENCH.rules for figure in figures}
    lines = [json.loads(line) for line in export(out, results, "cv.jsonl").read_text().splitlines()]
    assert [line["answer"] for line in lines] == list(answers_of(results).values())
    (deep, far) = read("cv-bench", folder, tmp_path / "3D", "--partial", "--split", "3D", "--wording", "letters")
    assert (deep.id, far.kind) == ("cv-bench/test/2", "Distance")
    assert deep.question == f"Which, 2?\nA. left\nB. right\nC. both\n{LETTER}"


def test_the_formula_of_cv_bench(tmp_path: Path) -> None:
    rows = [*cv_rows(), *({**row, "idx": 4 + row["idx"]} for row in cv_rows()[:1])]
    cases = [
        QuestionCase(
            f"cv-bench/test/{row['idx']}",
            Path("p"),
            "?",
            kind=row["task"],
            meta={"truth": "B", "options": row["choices"], "source": row["source"], "group": str(row["idx"])},
        )
        for row in rows
    ]
    said = ("(B)", "left", "B.", "C", "B, right")  # ADE20K 2 of 2, COCO 0 of 1, Omni3D 1 of 2
    table = CV_BENCH.score(cases, dict(zip((c.id for c in cases), said, strict=True)), "official", NOTHING_MORE)
    found = {row.name: row.value for row in table.rows}
    assert found["combined"] == ((100 + 0) / 2 + 50) / 2
    assert (found["2D"], found["3D"], found["ADE20K"], found["Relation"]) == (50, 50, 100, 0)
    assert table["Relation"].n == 1


def mmstar_rows(folder: Path) -> list[dict[str, Any]]:
    question = "How many? Count.\nOptions: A: one, B: two, C: three, D: four"
    return [
        {"index": index, "question": question, "image": picture_bytes(folder, index), "answer": "B"}
        | {"category": "math", "l2_category": part, "meta_info": {"source": "x"}}
        for index, part in enumerate(("geometry", "statistics"))
    ]


def test_mmstar_all_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_parquet(tmp_path / "MMStar" / "val" / "val-00000-of-00001.parquet", mmstar_rows(tmp_path))
    out = tmp_path / "out"
    cases = read("mmstar", tmp_path / "MMStar", out, "--partial")
    assert [case.id for case in cases] == ["mmstar/val/0", "mmstar/val/1"]
    assert cases[0].question == f"{cases[0].query}\n{LETTER}"
    results = ask(out)
    scores = score(out, results, "--rule", "official")
    assert set(scores) == {("official", name) for name in ("total", "math", "geometry", "statistics")}
    (line, _) = map(json.loads, export(out, results, "mmstar.jsonl").read_text().splitlines())
    assert (line["prediction"], line["answer"]) == (answers_of(results)["mmstar/val/0"], "B")
    (case, _) = read("mmstar", tmp_path / "MMStar", tmp_path / "open", "--partial", "--wording", "open")
    assert case.question == "How many?"
    path.write_bytes(path.read_bytes()[:-40])
    said = refusal(capsys, "data", "read", "mmstar", tmp_path / "MMStar", "--out", out, "--partial")
    assert "val-00000-of-00001.parquet cannot be read; is it whole?" in said
    write_parquet(path, [{"index": 0, "question": "?"}])
    said = refusal(capsys, "data", "read", "mmstar", tmp_path / "MMStar", "--out", out, "--partial")
    assert "has no column image, answer, category, l2_category" in said
