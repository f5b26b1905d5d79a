"""`run` in parts, in batches, beside a server, and on pictures that are prompted already: the same lines each time."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack.api_core.answering import Greedy
from pack.api_core.command_line import main
from pack.api_core.evaluation.runner.prompt_and_ask import AskCases
from pack.api_core.evaluation.runner.run_plan import LANES, RunPlan
from pack.api_core.masks import MaskSettings
from pack.api_core.models.server import Profile
from pack.api_core.models.server.profiles import save_profile
from pack.api_core.overlay import FadeStyle
from pack.tests.servers.process import running
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
COUNT = 9
SERVER = ("--server", "stand-in", "--server-model", "scripted-lvlm")
DRAWN = ("--temperature", "1.5", "--top-p", "1", "--seed", "7")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    grey = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    grey.save(tmp_path / "one.png")
    lines = [{"id": f"set/{n}", "picture": "one.png", "question": "What is red?"} for n in range(COUNT)]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))


def run(cases: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    assert main(["run", str(cases), "--out", str(out), "--device", "cpu", "--max-new-tokens", "4", *options]) == 0
    return lines(out)


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in found:
        del line["seconds"]
    return found


def in_parts(cases: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    parts = [folder / f"R.{n}.jsonl" for n in (1, 2, 3)]
    for n, part in enumerate(parts, 1):
        run(cases, part, "--shard", f"{n}/3", *options)
    assert main(["merge", *map(str, parts), "--out", str(folder / "R.jsonl"), "--cases", str(cases)]) == 0
    return lines(folder / "R.jsonl")


@pytest.mark.parametrize("decoding", [(), DRAWN, ("--decoding", "VCD", *DRAWN)], ids=["greedy", "sample", "VCD"])
def test_parts_and_batches_of_any_size_give_equal_lines(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, decoding: tuple[str, ...]
) -> None:
    options = ("--lvlm", lvlm, "--map-model", clip, *decoding)
    whole = run(cases, tmp_path / "8.jsonl", *options, "--batch-size", "8")
    assert run(cases, tmp_path / "1.jsonl", *options, "--batch-size", "1") == whole
    assert in_parts(cases, tmp_path, *options) == whole
    said = {line["plain"]["answer"] for line in whole}
    if decoding:  # the same question about the same picture, drawn anew for each case
        assert len(said) > COUNT / 2
        assert whole[0]["settings"]["seeds"] == "of the seed and each id"
        other = run(cases, tmp_path / "other.jsonl", *options, "--seed", "8")
        assert sum(a["plain"] == b["plain"] for a, b in zip(whole, other, strict=True)) < COUNT / 2
    else:
        assert len(said) == 1
        assert "seeds" not in whole[0]["settings"]  # files of before go on


def test_parts_run_from_other_folders_and_a_copy_elsewhere_are_of_one_run(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--lvlm", lvlm, "--map-model", clip)
    copy = tmp_path / "another" / "machine"
    copy.mkdir(parents=True)
    for name in ("cases.jsonl", "one.png"):
        shutil.copyfile(tmp_path / name, copy / name)
    whole = run(cases, tmp_path / "whole.jsonl", *options)
    monkeypatch.chdir(tmp_path)
    run(Path("cases.jsonl"), tmp_path / "1.jsonl", "--shard", "1/2", *options)
    monkeypatch.chdir(copy.parent)
    run(Path("machine/cases.jsonl"), tmp_path / "2.jsonl", "--shard", "2/2", *options)
    merged = str(tmp_path / "R.jsonl")
    parts = (str(tmp_path / "1.jsonl"), str(tmp_path / "2.jsonl"))
    assert main(["merge", *parts, "--out", merged, "--cases", str(copy / "cases.jsonl")]) == 0
    assert lines(tmp_path / "R.jsonl") == whole
    monkeypatch.setattr(AskCases, "__call__", lambda *given: pytest.fail("it is done"))
    assert run(cases, tmp_path / "R.jsonl", *options) == whole


@pytest.mark.usefixtures("profiles")
def test_a_server_gets_as_many_questions_at_once_as_asked_and_each_its_seed(
    cases: Path, clip: str, tmp_path: Path
) -> None:
    options = (*SERVER, "--map-model", clip, "--temperature", "1")
    with running() as server:
        save_profile(Profile("stand-in", server.address))
        usual = run(cases, tmp_path / "usual.jsonl", *options)
        seeds = [request["settings"]["seed"] for request in server.requests]
        assert len(set(seeds)) == COUNT
        assert all(0 <= seed < 1 << 31 for seed in seeds)
        assert server.log()["most_at_once"] <= 4
        many = run(cases, tmp_path / "many.jsonl", *options, "--at-once", "24")
        assert sorted(request["settings"]["seed"] for request in server.requests[2 * COUNT :]) == sorted(seeds)
        alone = run(cases, tmp_path / "alone.jsonl", *options, "--at-once", "1")
    assert sorted(many, key=lambda line: str(line["id"])) == usual == alone


@pytest.mark.usefixtures("profiles")
def test_questions_of_several_batches_are_under_way_together(cases: Path, tmp_path: Path) -> None:
    slow = {"kind": "silence", "seconds": 30}
    with running() as server:
        save_profile(Profile("stand-in", server.address, patience=1.5))
        server.misbehave(*[slow] * COUNT)
        options = ("--map", "none", *SERVER, "--at-once", "16", "--out", str(tmp_path / "R.jsonl"))
        main(["run", str(cases), *options])
        times = [request["at"] for request in server.requests[:COUNT]]
    assert max(times) - min(times) < 1.4  # nobody waited for another's answer


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_maps_and_answers_can_be_two_jobs(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = ("--save-pictures", "--save-as", kind)
    one = run(cases, tmp_path / "one.jsonl", "--lvlm", lvlm, "--map-model", clip, *saved, "--save-masks")
    maps = run(cases, tmp_path / "maps.jsonl", "--lvlm", "none", "--map-model", clip, *saved)
    assert [line["files"]["picture"] for line in maps] == [line["files"]["picture"] for line in one]
    assert one[0]["files"]["picture"].endswith(f".{kind}")
    folder = tmp_path / "maps.files"
    two = run(cases, tmp_path / "two.jsonl", "--lvlm", lvlm, "--prompted-from", str(folder))
    assert [line["plain"] for line in two] == [line["plain"] for line in one]
    assert two[0]["settings"]["map"] == "ready pictures"
    assert two[0]["prompted_from"]["picture"] == maps[0]["files"]["picture"]
    if kind == "jpg":  # what was asked about is what was written
        assert [line["prompted"] for line in two] == [line["prompted"] for line in one]
        assert one[0]["settings"]["save_as"] == "jpg"
        with Image.open(folder / maps[0]["files"]["picture"]) as written, Image.open(cases.parent / "one.png") as plain:
            assert written.format == "JPEG"
            plain.save(tmp_path / "usual.jpg")
            assert written.quantization == Image.open(tmp_path / "usual.jpg").quantization  # Pillow's usual quality
    surer = run(cases, tmp_path / "surer.jsonl", "--lvlm", lvlm, "--prompted-from", str(folder), "--keep", "surer")
    assert all(line["kept"] for line in surer)
    (folder / two[4]["prompted_from"]["picture"]).unlink()
    options = ("--lvlm", lvlm, "--prompted-from", str(folder), "--out", str(tmp_path / "less.jsonl"))
    assert main(["run", str(cases), *options]) == 1
    said = capsys.readouterr().err
    assert "1 of 9 cases have no picture in" in said
    assert "failed: set/4: " in said
    assert sum("error" in line for line in map(json.loads, (tmp_path / "less.jsonl").open(encoding="utf-8"))) == 1


def test_batches_side_by_side_ask_nearly_as_many_questions_as_may_be() -> None:
    for count in range(1, 130):
        plan = RunPlan(Greedy(), MaskSettings(), FadeStyle(), server="any", at_once=count)
        asked = plan.lanes * plan.cases_at_once
        assert 1 <= plan.lanes <= LANES
        assert count >= asked > 0.85 * count


def test_a_part_without_cases_leaves_an_empty_file_for_merge(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "R.1.jsonl"
    options = ("--out", str(out), "--shard", "1/9999", "--lvlm", "a model that is nowhere")  # and is not looked for
    assert main(["run", str(cases), *options]) == 0
    assert "no case is in part 1/9999" in capsys.readouterr().out
    assert out.read_bytes() == b""
    assert main(["merge", str(out), "--out", str(tmp_path / "R.jsonl"), "--cases", str(cases)]) == 1
    assert "9 of 9 cases have no result" in capsys.readouterr().err


def test_one_machine_needs_nothing_new() -> None:
    code = "import sys, api_core.command_line.run, api_core.command_line.merge\n"
    code += "print(sorted({'ray', 'pyarrow', 'pandas', 'api_core.evaluation.runner.scale'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--ray", "auto"), "--workers"),
        (("--gpus-per-worker", "0.5"), "--workers"),
        (("--workers", "2", "--at-once", "8", *SERVER), "leave --at-once out"),
        (("--shard", "0/3"), "counted from 1"),
        (("--at-once", "8"), "--server"),
        (("--save-as", "jpg"), "--save-pictures"),
        (("--prompted-from", "nowhere"), "no folder nowhere"),
        (("--prompted-from", ".", "--map", "none"), "leave --map out"),
        (("--prompted-from", ".", "--map-model", "x"), "leave --map-model out"),
        (("--prompted-from", ".", "--contrast", "3"), "leave --contrast out"),
        (("--prompted-from", ".", "--style", "blur"), "leave --style out"),
        (("--prompted-from", ".", "--save-masks"), "leave --save-masks out"),
        (("--prompted-from", "tests"), "holds no prompted picture of any case"),
    ],
)
def test_what_cannot_be_is_one_line(
    cases: Path, tmp_path: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tuple(str(Path(__file__).parent) if option == "tests" else option for option in options)
    assert main(["run", str(cases), "--out", str(tmp_path / "r.jsonl"), "--lvlm", "none", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
