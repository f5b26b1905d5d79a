"""The whole command on a tiny random model: files, messages, exit codes."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack.api_core import VICUNA_SYSTEM_PROMPT
from pack.api_core.command_line import main
from pack.api_core.command_line import prompt as command
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
QUERY = "the red circle"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return make_picture(tmp_path / "in" / "scene.png")


def make_picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


def prompt(source: Path, out: Path, clip: str, *options: str, query: str = QUERY) -> int:
    return main(["prompt", str(source), query, "-o", str(out), "--model", clip, "--device", "cpu", *options])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_picture_becomes_a_prompted_one_of_its_size(
    picture: Path, tmp_path: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prompt(picture, tmp_path / "out", clip) == 0
    assert names(tmp_path / "out") == ["scene.png"]
    before, after = np.asarray(Image.open(picture)), np.asarray(Image.open(tmp_path / "out" / "scene.png"))
    assert after.shape == before.shape
    assert (after <= before).all()
    assert (after < before).any()
    written = capsys.readouterr()
    assert written.out.strip() == str(tmp_path / "out" / "scene.png")


def test_all_results_are_written_and_belong_together(picture: Path, tmp_path: Path, clip: str) -> None:
    options = ("--save-mask", "--save-heatmap", "--panel", "--words", "red", "--color", "255")
    assert prompt(picture, tmp_path / "out", clip, *options) == 0
    assert names(tmp_path / "out") == ["scene.heatmap.npz", "scene.mask.png", "scene.panel.png", "scene.png"]
    mask = np.asarray(Image.open(tmp_path / "out" / "scene.mask.png")).astype(float)
    before = np.asarray(Image.open(picture)).astype(float)
    after = np.asarray(Image.open(tmp_path / "out" / "scene.png")).astype(float)
    share = mask[..., None] / 255
    assert mask.shape == (40, 60)
    assert np.abs(before * share + 255 * (1 - share) - after).max() <= 1.5
    with np.load(tmp_path / "out" / "scene.heatmap.npz") as heatmap:
        assert tuple(heatmap["size"]) == (40, 60)
        assert heatmap["labels"].tolist() == [QUERY, "the", "red", "circle"]
        assert heatmap["class_token.0.values"].shape == (4, 6, 6)
        assert np.isfinite(heatmap["patch.0.values"]).all()
    panel = Image.open(tmp_path / "out" / "scene.panel.png")
    assert panel.width >= 120


def test_an_inverted_mask_is_the_complement(picture: Path, tmp_path: Path, clip: str) -> None:
    assert prompt(picture, tmp_path / "a", clip, "--save-mask") == 0
    assert prompt(picture, tmp_path / "b", clip, "--save-mask", "--invert") == 0
    plain, inverted = (np.asarray(Image.open(tmp_path / x / "scene.mask.png")).astype(int) for x in "ab")
    assert np.abs(plain + inverted - 255).max() <= 1


def test_what_is_not_there_leaves_the_picture_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Path(__file__).parents[3] / "assets" / "scene.png"
    for query, there in (("the red star", True), ("a brown triangle", False)):
        out = tmp_path / query
        options = ["--least-presence", "3", "--save-mask", "--save-heatmap"]
        assert main(["prompt", str(scene), query, "-o", str(out), *options]) == 0
        mask = np.asarray(Image.open(out / "scene.mask.png"))
        assert (mask.min() < 255) == there
        warned = "so it is taken not to be there" in capsys.readouterr().err
        assert warned != there
        with np.load(out / "scene.heatmap.npz") as saved:
            assert (saved["presence"][0] >= 3) == there
            assert saved["presence"].shape == saved["labels"].shape[:1]
        before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (scene, out / "scene.png"))
        assert np.array_equal(before, after) != there


def test_one_bad_picture_does_not_stop_the_others(
    picture: Path, tmp_path: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (picture.parent / "broken.png").write_bytes(b"not a picture")
    make_picture(picture.parent / "zebra.jpg", size=(33, 50))
    assert prompt(picture.parent, tmp_path / "out", clip) == 1
    assert names(tmp_path / "out") == ["scene.png", "zebra.png"]
    written = capsys.readouterr()
    failures = [line for line in written.err.splitlines() if line.startswith("failed:")]
    assert len(failures) == 1
    assert "broken.png" in failures[0]
    assert "Traceback" not in written.err
    assert "2 of 3 pictures prompted, 1 failed" in written.out


def test_debug_shows_where_a_picture_failed(
    picture: Path, tmp_path: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (picture.parent / "broken.png").write_bytes(b"not a picture")
    assert prompt(picture.parent, tmp_path / "out", clip, "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_transparency_is_kept_and_jpeg_lies_on_white(tmp_path: Path, clip: str) -> None:
    picture = make_picture(tmp_path / "clear.png", mode="RGBA")
    assert prompt(picture, tmp_path / "out", clip, "--strength", "0") == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "clear.png")), np.asarray(Image.open(picture)))
    assert prompt(picture, tmp_path / "out" / "clear.jpg", clip) == 0
    assert Image.open(tmp_path / "out" / "clear.jpg").mode == "RGB"


@pytest.mark.parametrize(
    ("options", "query", "said"),
    [
        ((), "  ", "The query is empty"),
        (("--layer", "99"), QUERY, "layer"),
        (("--radius", "3"), QUERY, "--radius belongs to --style blur"),
        (("--model", "no/such-model"), QUERY, "no/such-model"),
        (("--device", "abacus"), QUERY, "abacus"),
    ],
)
def test_what_cannot_be_done_as_asked_is_one_line_and_code_2(
    picture: Path,
    tmp_path: Path,
    clip: str,
    options: tuple[str, ...],
    query: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prompt(picture, tmp_path / "out", clip, *options, query=query) == 2
    written = capsys.readouterr()
    assert written.err.startswith("error: ")
    assert said in written.err
    assert len(written.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_picture_an_input_as_result_and_an_old_result_are_refused(
    picture: Path, tmp_path: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = picture.read_bytes()
    assert prompt(tmp_path / "missing.png", tmp_path / "out", clip) == 2
    assert prompt(picture, picture.parent, clip, "--overwrite") == 2
    assert prompt(picture, tmp_path / "out", clip) == 0
    assert prompt(picture, tmp_path / "out", clip) == 2
    assert prompt(picture, tmp_path / "out", clip, "--overwrite") == 0
    assert picture.read_bytes() == before
    assert "--overwrite" in capsys.readouterr().err


def test_a_catalog_model_that_is_not_here_says_how_to_get_it(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    assert prompt(picture, tmp_path / "out", "ViT-B-32") == 2
    assert "--allow-download" in capsys.readouterr().err


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    listed = capsys.readouterr().out
    assert "prompt" in listed
    assert "models" in listed


def test_the_models_are_listed_with_their_whereabouts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    assert main(["models", "--notes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("tiny-clip ") and "embedded" in line for line in lines)
    assert any(line.startswith("ViT-L-14-336/openai ") and "to download" in line and "1.7 GB" in line for line in lines)


@pytest.mark.parametrize("arguments", [["--help"], ["prompt", "--help"], ["explain", "--help"], ["models", "--help"]])
def test_help_needs_no_torch(arguments: list[str]) -> None:
    code = f"import sys\nsys.argv = ['x', *{arguments!r}]\nfrom api_core.command_line import main\n"
    code += "try:\n main()\nexcept SystemExit as end:\n print(end.code, 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines()[-1:] == ["0 False"], result.stderr


def test_a_full_disk_stops_the_folder_with_what_is_written(
    tmp_path: Path, clip: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(20):
        make_picture(tmp_path / "in" / f"{index:02}.png")
    save, saved = command.save_picture, []

    def save_some(picture: Any, target: Path, path: Path) -> None:
        saved.append(target.name)
        if len(saved) > 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(picture, target, path)

    monkeypatch.setattr(command, "save_picture", save_some)
    assert prompt(tmp_path / "in", tmp_path / "out", clip) == 2
    written = capsys.readouterr()
    (line,) = written.err.splitlines()
    assert "cannot be written: the disk is full" in line
    assert str(tmp_path / "out") in line
    assert names(tmp_path / "out") == ["00.png", "01.png", "02.png"]
    assert [Path(said).name for said in written.out.splitlines()] == names(tmp_path / "out")
    assert len(saved) <= 3 + 1 + 4  # one that failed, and those that were under way


def test_a_file_that_cannot_be_written_does_not_stop_the_others(
    tmp_path: Path, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(4):
        make_picture(tmp_path / "in" / f"{index}.png")
    (tmp_path / "out" / "2.png").mkdir(parents=True)
    assert prompt(tmp_path / "in", tmp_path / "out", clip, "--overwrite") == 1
    written = capsys.readouterr()
    (line,) = written.err.splitlines()
    assert "there is a folder of that name" in line
    said = [Path(line).name for line in written.out.splitlines()]
    assert said[:3] == ["0.png", "1.png", "3.png"]
    assert "3 of 4 pictures prompted, 1 failed" in written.out


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a process group")
def test_ctrl_c_leaves_whole_files_only(tmp_path: Path, clip: str) -> None:
    for index in range(300):
        make_picture(tmp_path / "in" / f"{index:03}.png")
    command = [sys.executable, "-m", "api_core", "prompt", str(tmp_path / "in"), QUERY]
    command += ["-o", str(tmp_path / "out"), "--model", clip, "--device", "cpu", "--save-mask"]
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "001.png").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted" in errors
    written = sorted((tmp_path / "out").iterdir())
    assert 0 < len(written) < 600
    assert not [path for path in written if path.name.startswith(".")]
    # Nothing is lost: what was written was said to be, and the other way round.
    assert sorted(Path(line).name for line in said.splitlines()) == [p.name for p in written if ".mask" not in p.name]
    for path in written:
        Image.open(path).load()


def test_a_picture_is_prompted_by_an_lvlm(picture: Path, tmp_path: Path, lvlm: str) -> None:
    shared = ("--save-heatmap", "--save-mask", "--layers", "1,2", "--answer", "a red star")
    assert prompt(picture, tmp_path / "whole", lvlm, *shared) == 0
    assert prompt(picture, tmp_path / "hint", lvlm, *shared, "--hint-words", "Star,red", "--method", "gradient") == 0
    with np.load(tmp_path / "hint" / "scene.heatmap.npz") as heatmap:
        assert heatmap["labels"].tolist() == ["Star, red", "the", "red", "circle", "a", "red", "star"]
        assert heatmap["roles"].tolist() == ["whole", *["question word"] * 3, *["answer word"] * 3]
        assert heatmap["attention.0.values"].shape == (7, 6, 6)
        assert heatmap["method"] == "gradient"
    masks = [np.asarray(Image.open(tmp_path / name / "scene.mask.png")) for name in ("whole", "hint")]
    assert not np.array_equal(*masks)
    assert prompt(picture, tmp_path / "own", lvlm, "--max-new-tokens", "2", "--max-pixels", "900") == 0


def test_an_lvlm_is_told_what_a_named_system_prompt_says(picture: Path, tmp_path: Path, lvlm: str) -> None:
    def read(name: str, *options: str) -> np.ndarray:
        answer = ("--save-heatmap", "--answer", "a red star")
        assert prompt(picture, tmp_path / name, lvlm, *answer, *options) == 0
        with np.load(tmp_path / name / "scene.heatmap.npz") as heatmap:
            return np.array(heatmap["attention.0.values"])

    named, written = read("named", "--system-prompt", "vicuna"), read("text", "--system-prompt", VICUNA_SYSTEM_PROMPT)
    assert np.array_equal(named, written)
    assert not np.array_equal(named, read("none"))
    assert np.abs(read("pil", "--resize", "pil") - read("auto", "--resize", "auto")).max() < 0.05


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("lvlm", ("--fit", "crops"), "--fit is for a CLIP"),
        ("lvlm", ("--neutral", "a photo"), "--neutral is for a CLIP"),
        ("lvlm", ("--least-presence", "3"), "--least-presence is for a CLIP"),
        ("lvlm", ("--method", "decomposition"), "no method 'decomposition'. It has attention"),
        ("lvlm", ("--layers", "1,99"), "no layer 99"),
        ("clip", ("--answer", "red"), "--answer is for an LVLM"),
        ("clip", ("--hint-words", "red"), "--hint-words is for an LVLM"),
        ("clip", ("--max-new-tokens", "3"), "--max-new-tokens is for an LVLM"),
        ("clip", ("--resize", "pil"), "--resize is for an LVLM"),
        ("clip", ("--system-prompt", "vicuna"), "--system-prompt is for an LVLM"),
        ("clip", ("--method", "gradient"), "no method 'gradient'. It has decomposition"),
        ("clip", ("--layers", "1,2"), "read at one layer"),
    ],
)
def test_an_option_of_the_other_kind_of_model_is_refused(
    kind: str,
    options: tuple[str, ...],
    said: str,
    picture: Path,
    tmp_path: Path,
    clip: str,
    lvlm: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prompt(picture, tmp_path / "out", lvlm if kind == "lvlm" else clip, *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_letter_that_a_pipe_cannot_take_ends_nothing() -> None:
    code = r"from api_core import command_line as c; c.main = lambda: print('\u2264 1 \udce9.png \u00e9'); c.run()"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, env=environment, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.decode("cp1252").strip() == r"\u2264 1 \udce9.png " + "\u00e9"
