"""Connected regions, their boxes and points, and the crop with its way back."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.regions import bounding_boxes, crop, crop_mask, find_regions, paste, points


def picture_of_two():
    mask = torch.zeros(20, 30)
    mask[2:5, 3:7] = 0.6
    mask[3, 4] = 0.9
    mask[10:18, 20:22] = 0.8
    return mask


def flood(inside):
    """The 8-connected parts by plain search: sets of (row, column)."""
    left, parts = set(zip(*np.nonzero(inside), strict=True)), []
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        parts.append(part)
    return parts


@pytest.mark.parametrize("density", [0.1, 0.3, 0.4, 0.6])
@pytest.mark.parametrize("shape", [(24, 31), (1, 40), (40, 1)])
def test_regions_are_those_of_a_plain_search(density, shape):
    drawn = np.random.default_rng(3).random(shape).astype(np.float32)
    values = np.where(drawn < density, 1 - drawn, 0)
    expected = []
    for part in flood(values > 0):
        rows, columns = zip(*part, strict=True)
        box = (min(columns), min(rows), max(columns) - min(columns) + 1, max(rows) - min(rows) + 1)
        expected.append((*box, len(part), float(max(values[place] for place in part))))
    found = find_regions(torch.from_numpy(values), threshold=0, max_regions=10**6)
    assert sorted((c.x, c.y, c.width, c.height, c.pixels, c.peak_value) for c in found) == sorted(expected)
    assert [c.mass for c in found] == sorted((c.mass for c in found), reverse=True)
    assert all(values[c.peak[1], c.peak[0]] == c.peak_value for c in found)


def test_of_equal_regions_the_one_that_begins_higher_then_farther_left_is_first():
    mask = torch.zeros(9, 9)
    mask[0, 7], mask[1, 6] = 1.0, 1.0
    mask[3, 1:3] = mask[3, 5:7] = mask[6, 0:2] = 1.0
    assert [(r.x, r.y) for r in find_regions(mask)] == [(6, 0), (1, 3), (5, 3), (0, 6)]
    plateau = torch.full((4, 4), 0.75)
    assert find_regions(plateau)[0].peak == (0, 0)


def test_regions_come_by_mass_with_boxes_scores_and_points():
    regions = find_regions(picture_of_two(), threshold=0.5, label="cat")
    assert [(box.x, box.y, box.width, box.height) for box in regions] == [(20, 10, 2, 8), (3, 2, 4, 3)]
    first, second = bounding_boxes(regions)
    assert first == {"x": 20, "y": 10, "width": 2, "height": 8, "label": "cat", "score": pytest.approx(0.8)}
    assert second["score"] == pytest.approx((11 * 0.6 + 0.9) / 12)
    assert find_regions(picture_of_two(), score="peak")[1].score == pytest.approx(0.9)
    assert points(regions) == [{"x": 4, "y": 3}, {"x": 20, "y": 10}]
    assert points(regions, suppression=50) == [{"x": 4, "y": 3}]
    assert len(find_regions(picture_of_two(), max_regions=1)) == 1
    assert find_regions(torch.zeros(4, 4), threshold=0) == ()


def test_boxes_are_padded_widened_rounded_and_kept_inside():
    mask = picture_of_two()

    def boxes(**settings):
        return [(r.x, r.y, r.width, r.height) for r in find_regions(mask, **settings)]

    assert boxes(padding=4) == [(16, 6, 10, 14), (0, 0, 11, 9)]
    assert boxes(padding=0.5, padding_unit="fraction")[0] == (19, 6, 4, 14)
    assert boxes(aspect=1)[0] == (17, 10, 8, 8)
    assert boxes(aspect=2)[1] == (2, 2, 6, 3)
    assert all(w % 8 == 0 and h % 8 == 0 and x + w <= 30 and y + h <= 20 for x, y, w, h in boxes(multiple=8))
    assert boxes(multiple=64) == [(0, 0, 30, 20)] * 2


def test_crop_and_paste_are_each_others_way_back():
    picture = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(0))
    box = find_regions(picture_of_two())[0]
    patch = crop(picture, box)
    assert patch.shape == (8, 2, 3)
    assert torch.equal(crop_mask(picture_of_two(), box), torch.full((8, 2), 0.8))
    assert torch.equal(paste(picture, patch, box.as_bounding_box()), picture)
    bright = paste(picture, torch.ones(16, 4, 3), box, torch.tensor([[0.5]]))
    torch.testing.assert_close(bright[10:18, 20:22], picture[10:18, 20:22] * 0.5 + 0.5)
    assert torch.equal(bright[:10], picture[:10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 2}, "threshold must be from 0 to 1"),
        ({"max_regions": 0}, "max_regions must be 1"),
        ({"padding": -1}, "padding must be 0"),
        ({"padding_unit": "inch"}, "padding unit 'inch'"),
        ({"aspect": 0}, "aspect"),
        ({"multiple": 0}, "sides' multiple must be 1 or more"),
        ({"score": "sum"}, "no score 'sum'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        find_regions(torch.ones(4, 4), **settings)


def test_boxes_outside_the_picture_are_refused():
    with pytest.raises(InvalidInput, match="does not lie inside the picture of 4 x 5"):
        crop(torch.ones(5, 4, 3), {"x": 2, "y": 0, "width": 3, "height": 1})
    with pytest.raises(InvalidInput, match="needs whole numbers x, y, width, height"):
        crop(torch.ones(5, 4, 3), {"x": 2})
    with pytest.raises(InvalidInput, match="not in 2"):
        find_regions(torch.ones(2, 4, 4))


@pytest.mark.parametrize("change", [{"x": math.nan}, {"peak": (0, 10**400)}, {"mass": math.inf}, {"score": 10**400}])
def test_a_region_of_what_is_no_number_is_refused(change: dict[str, Any]) -> None:
    (found,) = find_regions(torch.rand(9, 12), threshold=0.0, max_regions=1)
    with pytest.raises(InvalidInput, match=r"A region: .* must be a number, not"):
        replace(found, **change)


def test_a_whole_count_may_be_a_float():
    mask = picture_of_two()
    assert find_regions(mask, max_regions=1.0) == find_regions(mask, max_regions=1)
