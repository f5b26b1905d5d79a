"""The judge's journal: resumed, true to its answers, tried again, without a key; and checkouts that hold no prompts."""

import json
from pathlib import Path

import pytest
from pack.api_core.command_line import main
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.official.rules.judge_prompts import LlavaBenchJudging, MmVetJudging, digest_of
from pack.tests.core.evaluation.official.judging import (
    KEY,
    VARIABLE,
    judge,
    llava_checkout,
    mm_vet_checkout,
    says,
    verdicts_in,
)
from pack.tests.core.evaluation.official.round_trip import ask, draw, read, refusal
from pack.tests.servers.process import ServerProcess


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Answers to two questions of MM-Vet."""
    top = tmp_path / "mm-vet"
    entries = {
        f"v1_{number}": {"imagename": f"{number}.png", "question": f"What is {number}?", "answer": "a star"}
        | {"capability": ["rec"]}
        for number in range(2)
    }
    for number, entry in enumerate(entries.values()):
        draw(top / "images" / str(entry["imagename"]), number)
    (top / "mm-vet.json").write_text(json.dumps(entries))
    read("mm-vet", top, tmp_path / "out", "--partial")
    return ask(tmp_path / "out")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its prompts are taken for the published ones."""
    folder = mm_vet_checkout(tmp_path / "checkout")
    monkeypatch.setattr(MmVetJudging, "published", digest_of(MmVetJudging().read_texts(folder)))
    return folder


def scored(results: Path, verdicts: Path) -> tuple[object, ...]:
    return ("score", results, "--cases", results.with_name("cases.jsonl"), "--verdicts", verdicts)


def test_a_second_call_asks_only_for_what_is_missing(
    results: Path,
    checkout: Path,
    server: ServerProcess,
    profiles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "verdicts.jsonl"
    refused = {"kind": "status", "status": 400, "body": {"error": {"message": "this text is not allowed"}}}
    # The two are asked together, and when that fails each by itself.
    server.misbehave(*says("0.5"), refused, *says("0.5"), refused)
    assert judge(results, out, checkout, profiles) == 1
    assert "this text is not allowed" in capsys.readouterr().err
    assert ["error" in line for line in verdicts_in(out)] == [False, True]
    waits = "1 of 2 plain answers wait for a verdict, 'mm-vet/test/v1_1' first. Run `judge` again."
    assert waits in refusal(capsys, *scored(results, out))
    for _ in range(2):
        server.misbehave(*says("0.7"))
        assert judge(results, out, checkout, profiles) == 0
        assert len(server.requests) == 1
        assert [line["said"] for line in verdicts_in(out)] == [["0.5"], ["0.7"]]
        assert main([str(one) for one in scored(results, out)]) == 0
        assert "Judged by m; the authors asked gpt-4-0613, with the published prompts." in capsys.readouterr().out
        # What a power cut leaves of a line is dropped, and its answer judged anew.
        out.write_bytes(out.read_bytes()[:-40])
        assert waits in refusal(capsys, *scored(results, out))


def test_no_key_is_kept_or_said(
    results: Path,
    checkout: Path,
    server: ServerProcess,
    profiles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "verdicts.jsonl"
    server.misbehave(*says(f"0.5 {KEY}", "0.7"))
    assert judge(results, out, checkout, profiles) == 0
    assert server.requests[0]["headers"]["authorization"] == f"Bearer {KEY}"
    monkeypatch.setenv(VARIABLE, "sk-wrong-00112233445566778899aabbccddeeff")
    server.misbehave()
    again = tmp_path / "again.jsonl"
    assert judge(results, again, checkout, profiles) == 2  # before anything is asked
    assert server.requests == []
    assert not again.exists()
    said = capsys.readouterr()
    assert "refuses the key" in said.err
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.json*")]
    assert not any(key in text for key in (KEY, "sk-wrong") for text in (*written, said.out, said.err))


def test_verdicts_belong_to_their_answers_and_their_judge(
    results: Path,
    checkout: Path,
    server: ServerProcess,
    profiles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "verdicts.jsonl"
    server.misbehave(*says("0.5", "0.7"))
    assert judge(results, out, checkout, profiles) == 0
    command = ["judge", results, "--cases", results.with_name("cases.jsonl"), "--folder", profiles, "--out", out]
    other = refusal(capsys, *command, "--official", checkout, "--judge", "judge:another")
    assert "made with other settings (judge: 'scripted-lvlm at judge' there, 'another at judge' now)" in other
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    lines[1]["plain"]["answer"] = "something else"
    results.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert "'mm-vet/test/v1_1' is not the one that was judged" in refusal(capsys, *scored(results, out))
    assert "has changed since" in refusal(capsys, *command, "--official", checkout, "--judge", "judge:scripted-lvlm")
    assert "holds no verdicts" in refusal(capsys, *scored(results, results))


def test_each_arm_has_verdicts_of_its_own(
    results: Path,
    checkout: Path,
    server: ServerProcess,
    profiles: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "verdicts.jsonl"
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    prompted = [line | {"prompted": {"answer": "a star", "complete": True}} for line in lines]
    results.write_text("".join(json.dumps(line) + "\n" for line in prompted), encoding="utf-8")
    server.misbehave(*says("0.5", "1"))
    assert judge(results, out, checkout, profiles, "--shown", "prompted") == 0
    capsys.readouterr()
    scores = tmp_path / "scores.json"
    assert main([str(one) for one in (*scored(results, out), "--json", scores)]) == 0
    assert capsys.readouterr().err == "the plain answers were not judged and are left out\n"
    (arm,) = json.loads(scores.read_text())["arms"].items()
    assert (arm[0], arm[1]["rows"][0]["value"]) == ("prompted", 75.0)
    server.misbehave(*says("0", "0.2"))
    assert judge(results, out, checkout, profiles) == 0
    assert len(server.requests) == 2
    assert main([str(one) for one in (*scored(results, out), "--json", scores)]) == 0
    arms = json.loads(scores.read_text())["arms"]
    assert {arm: table["rows"][0]["value"] for arm, table in arms.items()} == {"plain": 10.0, "prompted": 75.0}
    lines[0] |= {"plain": {"answer": "other"}}
    results.write_text("".join(json.dumps(line) + "\n" for line in lines[:1]), encoding="utf-8")
    (tmp_path / "empty.jsonl").write_text("")
    assert "has no verdict on these answers (plain)" in refusal(capsys, *scored(results, tmp_path / "empty.jsonl"))


def test_what_a_judge_is_named_by(
    results: Path, checkout: Path, profiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(option: str, value: object) -> str:
        command = {"--judge": "judge:scripted-lvlm", "--official": checkout, "--out": tmp_path / "verdicts.jsonl"}
        command |= {"--cases": results.with_name("cases.jsonl"), "--folder": profiles, option: value}
        return refusal(capsys, "judge", results, *(one for pair in command.items() for one in pair))

    assert "a server's profile and its model" in refused("--judge", "judge")
    assert "There is no server profile 'nobody'" in refused("--judge", "nobody:gpt-4-0613")
    assert "clone yuweihao/MM-Vet from GitHub" in refused("--official", tmp_path)
    assert "Choose one of plain" in refused("--shown", "prompted")
    assert "verdicts need a file of their own" in refused("--out", results)


def test_prompts_are_read_and_nothing_of_a_checkout_is_run(tmp_path: Path) -> None:
    texts = MmVetJudging().read_texts(mm_vet_checkout(tmp_path / "mm-vet"))
    assert texts == {"examples": "Mark it.\nQ | T | P | M\n", "added": "\nOnly the mark: "}
    texts = LlavaBenchJudging().read_texts(llava_checkout(tmp_path / "llava"))
    assert texts["system"] == "Be fair."
    assert texts["conv prompt"] == "Compare conv."
    assert "math prompt" not in texts


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("mm-vet_evaluator.py", "prompt = (", "is no Python"),
        ("mm-vet_evaluator.py", "prompt = input()", "does not hold the prompts where the known versions have them"),
        ("mm-vet_evaluator.py", b"prompt = '\xff'", "is not UTF-8"),
        ("llava/eval/table/rule.json", "[]", "is not the official file"),
        ("llava/eval/table/rule.json", '{"llava_bench_complex": {}}', "is not the official file ('prompt')"),
        ("llava/eval/eval_gpt_review_bench.py", "", "does not hold the prompts"),
    ],
)
def test_other_checkouts_are_refused(tmp_path: Path, file: str, content: str | bytes, says: str) -> None:
    judging = MmVetJudging() if file.startswith("mm-vet") else LlavaBenchJudging()
    checkout = (mm_vet_checkout if file.startswith("mm-vet") else llava_checkout)(tmp_path / "checkout")
    (checkout / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match="from GitHub, and name that folder with --official") as refused:
        judging.read_texts(checkout)
    assert says in str(refused.value)
