"""A folder of frames as a clip."""

from pathlib import Path

import numpy as np
import pytest
from pack.api_core.attribution import clip_heatmap
from pack.api_core.command_line.files import find_pictures
from pack.api_core.errors import InvalidInput
from pack.api_core.masks import tune
from pack.api_core.models.clip.load import load_clip
from pack.api_core.pictures import size_of, to_picture
from PIL import Image

from .test_prompt import QUERY, names, prompt

COUNT = 11
Written = pytest.CaptureFixture[str]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Frames 1 to 11, whose names without leading noughts stand in another order than their numbers."""
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, COUNT + 1):
        levels = rng.integers(0, 60, (40, 60, 3), dtype=np.uint8)
        levels[10:25, 3 * number : 3 * number + 15] = (255, 0, 0)
        Image.fromarray(levels).save(folder / f"frame{number}.png")
    return folder


def mask(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(float)


def test_a_clip_is_measured_together_frame_by_frame_in_the_order_of_its_numbers(
    frames: Path, tmp_path: Path, clip: str, capsys: Written
) -> None:
    assert prompt(frames, tmp_path / "out", clip, "--clip", "--steady", "1", "--save-mask") == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        *(str(tmp_path / "out" / f"frame{n}.png") for n in range(1, COUNT + 1)),
        "11 of 11 pictures prompted",
    ]
    pictures = [to_picture(frames / f"frame{n}.png") for n in range(1, COUNT + 1)]
    heatmap = clip_heatmap(load_clip(clip), pictures, QUERY)
    for number, expected in enumerate(tune(heatmap, scale="whole batch", steady=1).masks, 1):
        found = mask(tmp_path / "out" / f"frame{number}.mask.png")
        assert np.abs(found - 255 * expected.numpy()).max() <= 1


def test_only_some_frames_are_read_and_too_few_are_warned_of_once(
    frames: Path, tmp_path: Path, clip: str, capsys: Written
) -> None:
    how = ("--clip", "--scale", "each picture", "--save-mask")
    assert prompt(frames, tmp_path / "all", clip, *how) == 0
    assert prompt(frames, tmp_path / "some", clip, *how, "--every", "3") == 0
    assert capsys.readouterr().err.count("one frame in 3") == 1
    masks = [[mask(tmp_path / out / f"frame{n}.mask.png") for n in range(1, COUNT + 1)] for out in ("all", "some")]
    different = [n for n, (one, other) in enumerate(zip(*masks, strict=True), 1) if np.abs(one - other).max() > 1]
    assert different == [2, 3, 5, 6, 8, 9]


def test_a_vision_language_model_reads_a_clip(frames: Path, tmp_path: Path, lvlm: str) -> None:
    how = ("--clip", "--steady", "1", "--every", "2", "--max-new-tokens", "2")
    assert prompt(frames, tmp_path / "out", lvlm, *how) == 0
    assert len(names(tmp_path / "out")) == COUNT


def test_a_frame_of_another_size_is_refused_in_one_line_before_anything_is_written(
    frames: Path, tmp_path: Path, clip: str, capsys: Written
) -> None:
    Image.new("RGB", (60, 48)).save(frames / "frame7.png")
    assert prompt(frames, tmp_path / "out", clip, "--clip", "--every", "2") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "frame7.png is 48 x 60 pixels (height x width), and frame1.png 40 x 60" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--steady", "2"), "--steady is for the frames of a clip"),
        (("--every", "2"), "--every is for the frames of a clip"),
        (("--scale", "each picture"), "--scale is for the frames of a clip"),
        (("--clip", "--reading", "upstream"), "upstream reading knows no clips"),
        (("--clip", "--words", "blue"), "no map for 'blue'"),
    ],
)
def test_what_does_not_go_together_is_refused(
    frames: Path, tmp_path: Path, clip: str, capsys: Written, options: tuple[str, ...], problem: str
) -> None:
    assert prompt(frames, tmp_path / "out", clip, *options) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert problem in said


def test_one_picture_is_no_clip(frames: Path, tmp_path: Path, clip: str, capsys: Written) -> None:
    assert prompt(frames / "frame1.png", tmp_path / "out", clip, "--clip") == 2
    assert "--clip is for a folder of frames" in capsys.readouterr().err


def test_a_frame_that_fails_while_it_is_drawn_does_not_stop_the_others(
    frames: Path, tmp_path: Path, clip: str, capsys: Written
) -> None:
    cut_short = frames / "frame2.png"
    cut_short.write_bytes(cut_short.read_bytes()[:200])
    assert prompt(frames, tmp_path / "out", clip, "--clip", "--every", "2") == 1
    assert "failed: " in capsys.readouterr().err
    assert len(names(tmp_path / "out")) == COUNT - 1
    assert prompt(frames, tmp_path / "again", clip, "--clip") == 2


def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    told = ["Frame 02.png", "frame 1.jpg", "frame 10.png", "frame 9.png", "7.png"]
    for name in told:
        (tmp_path / name).touch()
    found = [path.name for path in find_pictures(tmp_path, by_number=True)]
    assert found == ["7.png", "frame 1.jpg", "Frame 02.png", "frame 9.png", "frame 10.png"]


def test_the_size_of_a_file_is_that_of_its_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("plain.png", "turned.png", "turned.jpg", "turned.webp"):
        Image.new("RGB", (60, 40)).save(tmp_path / name, **({"exif": exif} if "turned" in name else {}))
        assert size_of(tmp_path / name) == tuple(to_picture(tmp_path / name).shape[:2]), name
    with pytest.raises(InvalidInput, match="no picture at"):
        size_of(tmp_path / "missing.png")
