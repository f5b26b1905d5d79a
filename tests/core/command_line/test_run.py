"""The commands `run` and `benchmark` on tiny random models: files, resuming, messages, exit codes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack.api_core.command_line import main
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.models.server import Profile
from pack.api_core.models.server.profiles import save_profile
from pack.tests.servers.process import running
from PIL import Image

QUESTIONS = ("What is red?", "Is there a circle?", "How many?")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    lines = []
    for number, question in enumerate(QUESTIONS):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        line = {"id": f"case/{number}", "picture": f"{number}.png", "question": question, "answers": ["red"]}
        lines.append(json.dumps({**line, "boxes": [[5, 5, 30, 30]], "kind": "noise"}))
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(cases: Path, out: Path, clip: str, lvlm: str, *options: str) -> int:
    models = ("--lvlm", lvlm, "--map-model", clip, "--device", "cpu", "--max-new-tokens", "3")
    return main(["run", str(cases), "--out", str(out), *models, *options])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_case_is_asked_plain_and_prompted(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "results.jsonl"
    assert run(cases, out, clip, lvlm, "--save-masks", "--save-pictures", "--strength", "0.5") == 0
    found = lines(out)
    assert [line["id"] for line in found] == ["case/0", "case/1", "case/2"]
    for line, question in zip(found, QUESTIONS, strict=True):
        assert line["question"] == question
        assert line["kind"] == "noise"
        assert isinstance(line["plain"]["answer"], str)
        assert line["prompted"]["right"] in (True, False)
        assert 0 <= line["mask"]["pointing"] <= 1
        assert line["settings"]["strength"] == 0.5
        assert "FadeStyle" in line["settings"]["style"]
        assert line["settings"]["seed"] == 0
        assert (line["settings"]["layer"], line["settings"]["mask"]["contrast"]) == (2, 1.0)
        assert "torch" in line["versions"]
    first = out.parent / "results.files" / found[0]["files"]["picture"]
    mask = np.asarray(Image.open(out.parent / "results.files" / found[0]["files"]["mask"])).astype(float)
    before, after = (
        np.asarray(Image.open(tmp_path / "0.png")).astype(float),
        np.asarray(Image.open(first)).astype(float),
    )
    assert np.abs(before * (0.5 + 0.5 * mask[..., None] / 255) - after).max() <= 1.5
    assert len({line["files"]["mask"] for line in found}) == 3
    said = capsys.readouterr().out
    assert "3 of 3 cases done" in said
    assert "plain: " in said
    assert "of 3 right" in said


def test_a_second_run_goes_on_and_a_batch_of_another_size_changes_nothing(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    assert run(cases, one, clip, lvlm, "--range", "1:2") == 0
    assert [line["id"] for line in lines(one)] == ["case/1"]
    assert run(cases, one, clip, lvlm, "--batch-size", "2") == 0
    assert "3 of 3 cases done, 1 of them before" in capsys.readouterr().out
    assert run(cases, other, clip, lvlm) == 0
    apart = {line["id"]: (line["plain"], line["prompted"], line["mask"]) for line in lines(one)}
    assert apart == {line["id"]: (line["plain"], line["prompted"], line["mask"]) for line in lines(other)}


def test_what_is_not_there_is_asked_of_the_plain_picture(cases: Path, clip: str, lvlm: str, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    assert run(cases, out, clip, lvlm) == 0
    presences = [line["presence"] for line in lines(out)]
    least = round(sum(sorted(presences)[1:]) / 2, 3)  # between the two that are highest
    assert least > 0
    again = tmp_path / "again.jsonl"
    assert run(cases, again, clip, lvlm, "--least-presence", str(least)) == 0
    for line, found in zip(lines(again), presences, strict=True):
        assert line["presence"] == found
        assert line["settings"]["mask"]["least_presence"] == least
        absent = any("taken not to be there" in warning for warning in line.get("warnings", ()))
        assert absent == (found < least)
        assert (line["prompted"] == line["plain"]) or not absent


def test_controls_have_the_values_of_the_masks_elsewhere_or_everywhere(
    cases: Path, clip: str, lvlm: str, tmp_path: Path
) -> None:
    masks = {}
    for control in ("", "moved", "uniform"):
        out = tmp_path / f"of {control}.jsonl"
        options = ("--control", control) if control else ()
        assert run(cases, out, clip, "none", "--save-masks", *options) == 0
        found = lines(out)
        assert found[0]["settings"].get("control", "") == control
        masks[control] = [np.asarray(Image.open(out.with_suffix(".files") / line["files"]["mask"])) for line in found]
    for own, moved, uniform in zip(*masks.values(), strict=True):
        assert not np.array_equal(own, moved)
        assert np.array_equal(np.sort(own, None), np.sort(moved, None))
        assert np.ptp(uniform) == 0
        assert abs(float(uniform[0, 0]) - own.mean()) <= 1


def test_pictures_are_resized_as_is_said_and_the_results_say_so(cases: Path, lvlm: str, tmp_path: Path) -> None:
    asked = ("--map", "none", "--lvlm", lvlm, "--device", "cpu", "--max-new-tokens", "3")
    for resize, told in (((), None), (("--resize", "pil"), "pil")):
        out = tmp_path / f"{told}.jsonl"
        assert main(["run", str(cases), "--out", str(out), *asked, *resize]) == 0
        assert lines(out)[0]["settings"].get("resize") == told


def test_other_settings_need_another_file(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.jsonl"
    assert run(cases, out, clip, lvlm) == 0
    before = out.read_bytes()
    assert run(cases, out, clip, lvlm, "--style", "blur") == 2
    assert "style" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run(cases, out, clip, lvlm, "--style", "blur", "--overwrite") == 0
    assert "BlurStyle" in lines(out)[0]["settings"]["style"]


def test_one_bad_case_is_told_and_tried_again(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.jsonl"
    picture = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(b"broken")
    assert run(cases, out, clip, lvlm) == 1
    written = capsys.readouterr()
    assert "failed: case/1: " in written.err
    assert "2 of 3 cases done, 1 failed" in written.out
    assert [("error" in line) for line in lines(out)] == [False, True, False]
    (tmp_path / "1.png").write_bytes(picture)
    assert run(cases, out, clip, lvlm) == 0
    assert [("error" in line) for line in lines(out)] == [False, False, False]


def test_maps_of_the_model_that_answers_and_maps_alone(cases: Path, clip: str, lvlm: str, tmp_path: Path) -> None:
    own, alone = tmp_path / "own.jsonl", tmp_path / "alone.jsonl"
    models = ("--device", "cpu", "--max-new-tokens", "3")
    assert main(["run", str(cases), "-o", str(own), "--lvlm", lvlm, "--map", "lvlm", "--no-plain", *models]) == 0
    assert "plain" not in lines(own)[0]
    assert lines(own)[0]["settings"]["map"] == "lvlm"
    assert main(["run", str(cases), "-o", str(alone), "--lvlm", "none", "--map-model", clip, *models]) == 0
    assert not {"plain", "prompted"} & set(lines(alone)[0])
    assert "pointing" in lines(alone)[0]["mask"]


def test_without_maps_only_the_plain_picture_is_asked_about(cases: Path, lvlm: str, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    options = ("--lvlm", lvlm, "--map", "none", "--device", "cpu", "--max-new-tokens", "3", "--temperature", "0.8")
    assert main(["run", str(cases), "--out", str(out), *options, "--seed", "5"]) == 0
    assert not {"prompted", "mask"} & set(lines(out)[0])
    assert "seed=5" in lines(out)[0]["settings"]["decoding"]


def test_a_server_answers_and_a_clip_says_where_to_look(
    cases: Path, clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))
    out = tmp_path / "results.jsonl"
    options = ("--server", "stand-in", "--server-model", "scripted-lvlm", "--map-model", clip, "--device", "cpu")
    with running() as server:
        save_profile(Profile("stand-in", server.address))
        assert main(["run", str(cases), "--out", str(out), *options]) == 0
        asked = [text for request in server.requests for text in request["texts"]]
    assert sorted(asked) == sorted(QUESTIONS * 2)
    assert all(line["plain"]["answer"] and line["prompted"]["answer"] for line in lines(out))
    assert lines(out)[0]["settings"]["model"] == "scripted-lvlm at stand-in"


def test_the_surer_answer_is_kept_with_all_that_led_to_it(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, both = tmp_path / "surer.jsonl", tmp_path / "both.jsonl"
    surer = ("--keep", "surer", "--skip-above", "1", "--style", "magnify")
    assert run(cases, out, clip, lvlm, *surer, "--range", "0:1") == 0
    capsys.readouterr()
    assert run(cases, out, clip, lvlm, *surer, "--batch-size", "2") == 0  # goes on
    said = capsys.readouterr().out
    assert "3 of 3 cases done, 1 of them before" in said
    assert "asked again with the prompted picture: 3 of 3" in said
    assert "kept: " in said
    assert run(cases, both, clip, lvlm, "--style", "magnify") == 0
    for line, apart in zip(lines(out), lines(both), strict=True):
        for arm in ("plain", "prompted"):
            assert {name: line[arm][name] for name in apart[arm]} == apart[arm]
        kept = line["kept"]
        surest = max(("plain", "prompted"), key=lambda arm: line[arm]["confidence"])
        assert kept == {**line[surest], "from": surest, "readings": 2}
        assert 0 < line["plain"]["confidence"] < 1
        assert (line["settings"]["keep"], line["settings"]["skip_above"]) == ("surer", 1.0)
    assert "keep" not in lines(both)[0]["settings"]  # files of before there was a choice go on


def test_a_batch_of_another_size_keeps_the_same_answers(cases: Path, clip: str, lvlm: str, tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    surer = ("--keep", "surer", "--style", "magnify")
    assert run(cases, one, clip, lvlm, *surer, "--batch-size", "1") == 0
    assert run(cases, other, clip, lvlm, *surer, "--batch-size", "3") == 0
    for apart, together in zip(lines(one), lines(other), strict=True):
        confidence = together["kept"].pop("confidence")
        assert apart["kept"].pop("confidence") == pytest.approx(confidence, rel=1e-4)
        assert apart["kept"] == together["kept"]


def test_what_is_sure_gets_no_map_and_no_second_question(cases: Path, clip: str, lvlm: str, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    assert run(cases, out, clip, lvlm, "--keep", "surer", "--skip-above", "0", "--save-masks") == 0
    for line in lines(out):
        assert line["kept"] == {**line["plain"], "from": "plain", "readings": 1}
        assert not {"prompted", "mask", "files"} & set(line)


def test_results_of_another_choice_are_not_mixed(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.jsonl"
    assert run(cases, out, clip, lvlm) == 0
    before = out.read_bytes()
    assert run(cases, out, clip, lvlm, "--keep", "surer") == 2
    assert "keep: None there, 'surer' now" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run(cases, out, clip, lvlm, "--keep", "surer", "--overwrite") == 0
    assert run(cases, out, clip, lvlm, "--keep", "surer", "--skip-above", "0.5") == 2
    assert "skip_above: 0.995 there, 0.5 now" in capsys.readouterr().err


def test_a_server_that_is_not_sure_of_itself_is_refused_before_the_first_case(
    cases: Path, clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))
    out = tmp_path / "results.jsonl"
    options = ("--server", "stand-in", "--server-model", "scripted-lvlm", "--map-model", clip, "--device", "cpu")
    with running() as server:
        save_profile(Profile("stand-in", server.address))
        assert main(["run", str(cases), "--out", str(out), *options, "--keep", "surer"]) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("error: scripted-lvlm at stand-in does not say how likely")
        assert not out.exists()
        assert len(server.requests) == 1
        one = {"kind": "none", "text": "red", "logprobs": [{"token": "red", "logprob": -0.3}]}
        spoilt = {**one, "logprobs": [{"token": "red", "logprob": float("nan")}]}
        server.misbehave(one, one, spoilt, one, one)  # the question before all; then one case at a time
        assert main(["run", str(cases), "--out", str(out), *options, "--keep", "surer", "--batch-size", "1"]) == 1
    found = lines(out)
    assert "nan as the log-probability" in found[0]["error"]
    assert found[1]["kept"] == {**found[1]["plain"], "from": "plain", "readings": 2}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--range", "9:12"), "range 9:12"),
        (("--server-model", "x"), "--server"),
        (("--map", "none", "--no-plain"), "nothing to ask"),
        (("--map", "none", "--save-masks"), "--save-masks"),
        (("--map", "lvlm", "--fit", "crops"), "--fit"),
        (("--map", "lvlm", "--least-presence", "3"), "--least-presence is for the maps of a CLIP"),
        (("--layers", "1,2"), "one layer"),
        (("--layers", "99"), "99"),
        (("--method", "guessing"), "guessing"),
        (("--template", "{nothing}"), "nothing"),
        (("--style", "fade", "--radius", "2"), "--radius belongs to --style blur"),
        (("--keep", "surer", "--temperature", "0.7"), "Decode greedily"),
        (("--keep", "surer", "--decoding", "AvisC"), "AvisC"),
        (("--keep", "surer", "--map", "none"), "--keep surer"),
        (("--keep", "surer", "--no-plain"), "--keep surer"),
        (("--skip-above", "0.9"), "--skip-above belongs to --keep surer"),
    ],
)
def test_what_cannot_be_done_as_asked_is_one_line_and_code_2(
    cases: Path,
    clip: str,
    lvlm: str,
    tmp_path: Path,
    options: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_clip = "none" in options or "lvlm" in options
    models = ("--lvlm", lvlm, *(() if without_clip else ("--map-model", clip)))
    out = tmp_path / "results.jsonl"
    assert main(["run", str(cases), "--out", str(out), *models, "--device", "cpu", *options]) == 2
    written = capsys.readouterr()
    assert said in written.err.splitlines()[-1]
    assert written.err.splitlines()[-1].startswith("error: ")
    assert not out.exists()


def test_mistakes_in_the_cases_name_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "a", "picture": "x.png", "question": "?"}\n{"id": "b"}\n', encoding="utf-8")
    assert main(["run", str(path), "--out", str(tmp_path / "r.jsonl")]) == 2
    assert "line 2" in capsys.readouterr().err
    path.write_text('{"id": "a", "picture": "x.png", "question": "?"}\n', encoding="utf-8")
    assert main(["run", str(path), "--out", str(path)]) == 2
    assert "file of their own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("answers", "--scenes", "4"), "--questions"),
        (("localisation", "--questions", "4"), "--scenes"),
        (("hallucination", "--questions", "4"), "--scenes for hallucination"),
        (("localisation", "--development", "4"), "--development"),
        (("localisation", "--overwrite"), "--out"),
        (("localisation", "--clip", "none", "--model", "none"), "nothing to measure"),
        (("prompting", "--clip", "none", "--model", "none"), "nothing to measure"),
    ],
)
def test_benchmarks_that_make_no_sense_are_refused(
    options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_benchmark_prints_its_tables_and_keeps_its_results(
    lvlm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ("--clip", "tiny-clip", "--model", lvlm, "--device", "cpu")
    sizes = ("--questions", "3", "--development", "2", "--quick")
    files = ("--out", str(tmp_path / "out"), "--markdown", str(tmp_path / "tables.md"))
    assert main(["benchmark", "prompting", *models, *sizes, *files]) == 0
    said = capsys.readouterr().out
    assert "### Chosen on development scenes" in said
    assert "| oracle box |" in said
    assert (tmp_path / "tables.md").read_text(encoding="utf-8").strip() == said.strip()
    assert len(lines(tmp_path / "out" / "prompting-hard-test.jsonl")) == 3


def test_further_pictures_are_shown_after_the_prompted_one(
    cases: Path, clip: str, lvlm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = lines(cases)
    given[0]["more_pictures"] = ["2.png"]
    given[2]["more_pictures"] = ["0.png"]
    cases.write_text("\n".join(map(json.dumps, given)), encoding="utf-8")
    shown = []
    real = LvlmModel.prepare

    def seen(self: LvlmModel, asked: Any, **how: Any) -> Any:
        shown.extend([len(case.pictures), case.pictures[-1].mean().item()] for case in asked)
        return real(self, asked, **how)

    monkeypatch.setattr(LvlmModel, "prepare", seen)
    out = tmp_path / "results.jsonl"
    assert run(cases, out, clip, lvlm, "--no-plain", "--batch-size", "3") == 0
    assert [line["id"] for line in lines(out)] == ["case/0", "case/1", "case/2"]
    last = [np.asarray(Image.open(tmp_path / name)).mean() / 255 for name in ("2.png", "0.png")]
    asked = [(count, mean) for count, mean in shown if count == 2]
    assert [mean for _, mean in asked] == pytest.approx(last, abs=1e-5)
    assert [count for count, _ in shown] == [2, 2, 1]
