"""Resampling as Pillow does it, and the rectangles a model looks at."""

import numpy as np
import pytest
import torch
from pack.api_core import resample
from pack.api_core.choices import FITS, INTERPOLATIONS
from pack.api_core.errors import InvalidInput
from pack.api_core.geometry import compose, cut, place, seen_cells, trim, windows
from pack.api_core.results import Box, View
from PIL import Image


@pytest.mark.parametrize("name", [*INTERPOLATIONS, "box", "LANCZOS"])
@pytest.mark.parametrize(
    ("grid", "size"),
    [((24, 24), (48, 64)), ((7, 5), (37, 91)), ((60, 80), (13, 17)), ((1, 1), (4, 3)), ((24, 16), (24, 100))],
)
def test_resampling_equals_pillow(name, grid, size):
    values = torch.rand(grid, generator=torch.Generator().manual_seed(0))
    expected = Image.fromarray(values.numpy()).resize((size[1], size[0]), Image.Resampling[name.upper()])
    drawn = place(values, Box(0, 0, size[1], size[0]), size, name)
    assert np.abs(drawn.numpy() - np.asarray(expected)).max() < 1e-5
    seen = cut(values.unsqueeze(-1), Box(0, 0, grid[1], grid[0]), size, name)
    assert np.abs(seen[..., 0].numpy() - np.asarray(expected)).max() < 1e-5


@pytest.mark.parametrize(
    ("shape", "axis"), [((37, 501, 3), 1), ((2, 64, 333), -1), ((3, 700, 50), -2), ((0, 900, 3), 1)]
)
@pytest.mark.parametrize("kernel", ["bicubic", "lanczos", "nearest"])
def test_shrinking_row_by_row_changes_no_bit(monkeypatch, shape, axis, kernel):
    monkeypatch.setattr(resample, "_AT_ONCE", 5000)  # several pieces
    values = torch.rand(shape)
    indices, weights = resample._taps(shape[axis], 3.3, shape[axis] / 20, 19, kernel)
    whole = resample._tap_by_tap(values, axis, indices, weights.float())
    assert torch.equal(resample._by_rows(values, axis, indices, weights.float()), whole)


def test_a_box_inside_is_placed_there_and_its_edge_goes_on():
    drawn = place(torch.tensor([[1.0, 2.0]]), Box(2, 0, 6, 2), (2, 8), "nearest")
    assert drawn.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2]] * 2


def test_a_box_past_the_edge_shows_its_inner_part():
    drawn = place(torch.arange(4.0).reshape(4, 1), Box(0, -2, 4, 6), (4, 4), "nearest")
    assert drawn[:, 0].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (50, 50), (51, 50), (10, 500), (1, 9)])
@pytest.mark.parametrize("fit", FITS)
def test_windows_cover_every_pixel(size, fit):
    seen = torch.zeros(size, dtype=torch.int32)
    boxes = windows(size, fit, 32)
    for box in boxes:
        y, x = torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5
        seen += ((y > box.top) & (y < box.bottom))[:, None] & ((x > box.left) & (x < box.right))
    assert fit == "center" or bool((seen > 0).all())
    assert len(boxes) <= 12
    if fit == "crops":
        assert all(box.width == box.height for box in boxes)


def test_center_is_the_official_crop():
    assert windows((480, 640), "center", 336) == (Box(80, 0, 560, 480),)


def test_padding_is_cut_off_before_drawing():
    size, box = (2, 4), windows((2, 4), "letterbox", 4)[0]
    valid = seen_cells(size, box, (4, 4))
    assert valid.tolist() == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]
    values = torch.full((1, 4, 4), 9.0)
    values[:, 1:3] = 1.0
    assert trim(View(values, box, valid)).box == Box(0, 0, 4, 2)
    torch.testing.assert_close(compose([View(values, box, valid)], size, "lanczos"), torch.ones(1, 2, 4))


def test_overlapping_views_blend_without_a_seam():
    boxes = windows((40, 70), "crops", 40)
    full = torch.ones(8, 8, dtype=torch.bool)
    same = compose([View(torch.full((1, 8, 8), 0.7), box, full) for box in boxes], (40, 70))
    torch.testing.assert_close(same, torch.full((1, 40, 70), 0.7))
    apart = compose([View(torch.full((1, 8, 8), float(i)), box, full) for i, box in enumerate(boxes)], (40, 70))[0]
    assert float(apart.diff(dim=1).abs().max()) < 0.3
    assert (float(apart[0, 0]), float(apart[0, -1])) == (0, 1)


def test_pixels_no_view_covers_go_on_from_the_nearest():
    full = torch.ones(1, 1, dtype=torch.bool)
    views = [View(torch.full((1, 1, 1), v), Box(x, 0, x + 2, 2), full) for v, x in ((1.0, 0), (5.0, 6))]
    assert compose(views, (2, 8), "nearest")[0, 0].tolist() == [1, 1, 1, 1, 5, 5, 5, 5]


def test_refusals():
    with pytest.raises(InvalidInput, match="no interpolation 'cubic'"):
        place(torch.ones(2, 2), Box(0, 0, 2, 2), (2, 2), "cubic")
    with pytest.raises(InvalidInput, match="no fit 'tile'"):
        windows((2, 2), "tile", 2)
    with pytest.raises(InvalidInput, match="width and a height above zero"):
        place(torch.ones(2, 2), Box(0, 0, 0, 2), (2, 2))
    with pytest.raises(InvalidInput, match="side must be 1 or more, not 0"):
        windows((0, 2), "stretch", 2)
    with pytest.raises(InvalidInput, match="None of the 4 cells"):
        trim(View(torch.ones(1, 2, 2), Box(0, 0, 2, 2), torch.zeros(2, 2, dtype=torch.bool)))
