"""The loader of pictures: every kind of source, and every refusal."""

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.pictures import as_masks, flatten_alpha, to_picture, to_pil
from PIL import Image

LEVELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10


def test_every_source_of_one_picture_gives_the_same(tmp_path):
    image = Image.fromarray(LEVELS)
    image.save(tmp_path / "a, b.png")
    expected = torch.from_numpy(LEVELS).float() / 255
    path = tmp_path / "a, b.png"
    for source in (path, str(path), image, LEVELS, torch.from_numpy(LEVELS), expected):
        assert torch.equal(to_picture(source), expected)
    assert np.array_equal(np.asarray(to_pil(expected)), LEVELS)


def test_the_cameras_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(LEVELS).save(tmp_path / "turned.png", exif=exif)
    assert torch.equal(to_picture(tmp_path / "turned.png"), torch.from_numpy(np.rot90(LEVELS, -1).copy()).float() / 255)


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("1", 1, (1, 1, 1)),
        ("L", 51, (0.2, 0.2, 0.2)),
        ("LA", (51, 102), (0.2, 0.2, 0.2, 0.4)),
        ("RGBA", (255, 0, 51, 102), (1, 0, 0.2, 0.4)),
        ("CMYK", (0, 255, 255, 0), (1, 0, 0)),
        ("I;16", 13107, (0.2, 0.2, 0.2)),
        ("I", 13107, (0.2, 0.2, 0.2)),
        ("F", 0.25, (0.25, 0.25, 0.25)),
    ],
)
def test_modes_become_rgb_or_rgba(mode, color, expected):
    picture = to_picture(Image.new(mode, (3, 2), color))
    assert picture.shape == (2, 3, len(expected))
    assert picture.dtype == torch.float32
    torch.testing.assert_close(picture[1, 2], torch.tensor(expected, dtype=torch.float32))


def test_a_palettes_transparency_is_kept(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "p.png", transparency=1)
    assert to_picture(tmp_path / "p.png").tolist() == [[[1, 0, 0, 1], [0, 0, 1, 0]]]


def test_sixteen_bit_files_keep_their_levels(tmp_path):
    levels = (np.arange(6, dtype=np.uint16) * 13000).reshape(2, 3)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    torch.testing.assert_close(to_picture(tmp_path / "deep.png")[..., 0], torch.from_numpy(levels.astype("f4")) / 65535)


def test_overshoot_is_clipped_and_the_source_untouched():
    source = torch.tensor([[[-0.1, 0.5, 1.2]]])
    before = source.clone()
    assert to_picture(source).tolist() == [[[0, 0.5, 1]]]
    assert torch.equal(source, before)


def test_alpha_is_laid_over_a_background():
    picture = torch.tensor([[[1.0, 0.0, 0.5, 0.25]]])
    torch.testing.assert_close(flatten_alpha(picture), torch.tensor([[[1.0, 0.75, 0.875]]]))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://example.org/a.png", "Download the picture first"),
        ("nowhere.png", "There is no picture at 'nowhere.png'"),
        (5, "cannot be made from int"),
        (torch.zeros(3, 8, 8), r"\[3, 8, 8\]"),
        (torch.zeros(1, 8, 8, 3), r"\[1, 8, 8, 3\]"),
        (np.zeros((0, 3, 3)), "no pixels"),
        (torch.full((2, 2), float("nan")), "4 of 4 values that are not finite"),
        (torch.full((2, 2, 3), 200.0), "run from 200 to 200"),
        (np.zeros((2, 2), dtype=np.int64), "no known scale"),
    ],
)
def test_what_is_no_picture_is_refused(source, message):
    with pytest.raises(InvalidInput, match=message):
        to_picture(source)


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "text.png").write_bytes(b"not a picture")
    with pytest.raises(InvalidInput, match=r"text\.png.*not a picture that Pillow can read"):
        to_picture(tmp_path / "text.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:500])
    with pytest.raises(InvalidInput, match=r"cut\.png.*cut short or damaged"):
        to_picture(tmp_path / "cut.png")
    with pytest.raises(InvalidInput, match="is a folder"):
        to_picture(tmp_path)


def test_masks_of_every_layout_become_one():
    mask = torch.rand(2, 3, 4)
    for layout in (mask, mask[:, None], mask[..., None]):
        assert torch.equal(as_masks(layout), mask)
    assert as_masks(mask[0]).shape == (1, 3, 4)
    with pytest.raises(InvalidInput, match=r"\[2, 3, 4, 5\]"):
        as_masks(torch.zeros(2, 3, 4, 5))


@pytest.mark.parametrize("name", ["half \ud83d", "x" * 5000, "a\0b"])
def test_what_no_file_can_be_called_is_refused_in_a_line(name: str):
    with pytest.raises(InvalidInput, match="no path of a file") as error:
        to_picture(name)
    assert len(str(error.value)) < 300
    str(error.value).encode()
