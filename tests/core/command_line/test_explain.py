"""The command `explain` on the embedded model: files, messages, exit codes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.command_line import main
from pack.api_core.explanation.methods import METHODS
from pack.api_core.pictures import to_pil
from PIL import Image

QUESTION = "What colour is the star?"
QUICK = ("--method", "gradient x input", "--steps", "4", "--device", "cpu")


@pytest.fixture(scope="module")
def scene(drawn: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red star and a blue circle."""
    path = tmp_path_factory.mktemp("in") / "scene.png"
    to_pil(torch.from_numpy(drawn.picture).float()).save(path)
    return path


def explained(source: Path, out: Path, *options: str, question: str = QUESTION) -> int:
    return main(["explain", str(source), "-q", question, "-o", str(out), *QUICK, *options])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_picture_gets_a_map_curves_and_a_report(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert explained(scene, out, "--panel") == 0
    assert names(out) == ["scene.curves.png", "scene.heatmap.npz", "scene.panel.png", "scene.png", "scene.report.json"]
    before, after = (np.asarray(Image.open(path)) for path in (scene, out / "scene.png"))
    assert before.shape == after.shape
    assert (before != after).mean() > 0.5
    report = json.loads((out / "scene.report.json").read_text(encoding="utf-8"))
    assert report["picture"] == str(scene)
    assert report["question"] == QUESTION
    assert report["answer"].casefold() == "red"
    assert set(report["faithfulness"]) == {"blur", "mean colour"}
    assert len(report["faithfulness"]["blur"]["insertion"]) == 5
    with np.load(out / "scene.heatmap.npz") as heatmap:
        assert heatmap["labels"].tolist() == [report["answer"]]
        assert heatmap["importance.0.values"].ndim == 3
        assert heatmap["method"] == "gradient x input"
    assert Image.open(out / "scene.curves.png").size == (640, 480)
    written = capsys.readouterr()
    path, verdict = written.out.splitlines()
    assert path == str(out / "scene.png")
    assert report["answer"] in verdict
    assert "%" in verdict


@pytest.mark.slow
def test_a_given_answer_its_words_and_what_it_is_instead_of(scene: Path, tmp_path: Path) -> None:
    shared = ("--answer", "a red star", "--words", "red,star", "--other-baseline", "none")
    assert explained(scene, tmp_path / "a", *shared, "--per-word", "--panel") == 0
    report = json.loads((tmp_path / "a" / "scene.report.json").read_text(encoding="utf-8"))
    assert [word["word"] for word in report["words"] if word["explained"]] == ["red", "star"]
    assert list(report["faithfulness"]) == ["blur"]
    with np.load(tmp_path / "a" / "scene.heatmap.npz") as heatmap:
        assert heatmap["labels"].tolist() == ["a red star", "red", "star"]
    wide, narrow = (Image.open(tmp_path / "a" / f"scene{kind}.png").width for kind in (".panel", ""))
    assert wide > 4 * narrow
    assert explained(scene, tmp_path / "b", "--answer", "red", "--instead-of", "blue", "--seed", "3") == 0
    report = json.loads((tmp_path / "b" / "scene.report.json").read_text(encoding="utf-8"))
    assert report["instead of"] == "blue"


@pytest.mark.slow
def test_settings_of_the_method_and_of_the_overlay(scene: Path, tmp_path: Path) -> None:
    igos = ("--method", "igos++", "--set", "steps=2", "--set", "blends=1", "--set", "settled=1")
    assert explained(scene, tmp_path / "out", *igos, "--style", "fade", "--threshold", "0.5") == 0
    before, after = (np.asarray(Image.open(path)).astype(int) for path in (scene, tmp_path / "out" / "scene.png"))
    assert (after <= before).all()
    black = (after == 0).all(-1).mean()
    assert 0.1 < black < 1
    assert explained(scene, tmp_path / "soft", *igos, "--style", "fade", "--threshold", "0.5", "--feather", "9") == 0
    soft = np.asarray(Image.open(tmp_path / "soft" / "scene.png")).astype(int)
    assert ((soft > 0) & (soft < before)).sum() > ((after > 0) & (after < before)).sum() + 100
    report = json.loads((tmp_path / "out" / "scene.report.json").read_text(encoding="utf-8"))
    assert report["method"] == "igos++"
    assert report["with gradients"] > 0


def test_a_folder_with_a_broken_picture(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        Image.open(scene).save(folder / name)
    (folder / "broken.png").write_bytes(b"not a picture")
    assert explained(folder, tmp_path / "out", "--steps", "0") == 1
    assert [name for name in names(tmp_path / "out") if name.count(".") == 1] == ["a.png", "b.png"]
    written = capsys.readouterr()
    assert [line for line in written.err.splitlines() if line.startswith("failed:") and "broken.png" in line]
    assert "2 of 3 answers explained, 1 failed" in written.out
    assert "Traceback" not in written.err


def test_an_answer_that_needs_no_picture_is_said_to_need_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (112, 112), (128, 128, 128)).save(tmp_path / "grey.png")
    assert explained(tmp_path / "grey.png", tmp_path / "out", "--answer", "red") == 0
    written = capsys.readouterr()
    assert "without the picture" in written.err
    assert "without the picture" in written.out
    report = json.loads((tmp_path / "out" / "grey.report.json").read_text(encoding="utf-8"))
    assert report["depends on the picture"] is False


def test_old_results_are_kept_and_inputs_are_never_replaced(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explained(scene, tmp_path / "out", "--steps", "0") == 0
    assert explained(scene, tmp_path / "out", "--steps", "0") == 2
    assert explained(scene, scene.parent, "--overwrite") == 2
    assert explained(scene, tmp_path / "out", "--steps", "0", "--overwrite") == 0
    errors = capsys.readouterr().err
    assert "--overwrite" in errors
    assert "input picture" in errors


@pytest.mark.parametrize(
    ("options", "question", "said"),
    [
        ((), "  ", "The question is empty"),
        (("--method", "magic"), QUESTION, "no way of explaining 'magic'"),
        (("--set", "steps=2"), QUESTION, "no setting 'steps'"),
        (("--method", "igos++", "--set", "steps=0"), QUESTION, "from 1 to"),
        (("--method", "igos++", "--set", "steps=1.5"), QUESTION, "whole number"),
        (("--model", "tiny-clip"), QUESTION, "tiny-clip"),
        (("--model", "none"), QUESTION, "--model"),
        (("--radius", "3"), QUESTION, "--radius belongs to --style blur"),
        (("--device", "abacus"), QUESTION, "abacus"),
    ],
)
def test_what_cannot_be_done_as_asked_is_one_line_and_code_2(
    scene: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    question: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert explained(scene, tmp_path / "out", *options, question=question) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert said in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--words", "zebra"), "zebra"),
        (("--answer", "red", "--instead-of", "red"), "instead_of"),
        (("--answer", "..."), "no words"),
    ],
)
def test_what_an_answer_cannot_be_asked_fails_for_its_picture(
    scene: Path, tmp_path: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explained(scene, tmp_path / "out", *options) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"failed: {scene}")
    assert said in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "steps"), "NAME=NUMBER"),
        (("--set", "steps=many"), "NAME=NUMBER"),
        (("--baseline", "soup"), "invalid choice"),
        (("--steps", "-1"), "from 0 on"),
    ],
)
def test_usage_errors(
    scene: Path, tmp_path: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        explained(scene, tmp_path / "out", *options)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_methods_and_their_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["explain", "--list-methods"])
    assert caught.value.code == 0
    listed = capsys.readouterr().out
    for method in METHODS.values():
        assert f"{method.name}\n    {method.describes}" in listed
        for setting in method.settings:
            assert f"--set {setting.name}=" in listed
