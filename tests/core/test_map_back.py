"""What was found in a prompted picture or in crops, back in the picture: exact, and refused where it does not fit."""

import json
import math
import random
from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.map_back import (
    Cut,
    WaysBack,
    boxes_to_picture,
    mask_to_picture,
    points_to_picture,
    read_boxes,
    read_points,
)
from pack.api_core.overlay import FadeStyle, MagnifyStyle, Mapping, mapping
from pack.api_core.regions import bounding_boxes, crop, crop_mask, find_regions, points
from torch import Tensor

SIZE = (120, 200)
CROP = {"x": 30, "y": 10, "width": 40, "height": 20}


def spot(y: float, x: float, radius: float) -> Tensor:
    rows, columns = torch.arange(SIZE[0])[:, None] + 0.5, torch.arange(SIZE[1])[None] + 0.5
    return torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))


@pytest.fixture
def magnified() -> Mapping:
    return mapping(spot(40, 150, 9), MagnifyStyle())


def some_boxes(count: int) -> list[dict[str, float]]:
    chance = random.Random(5)
    sides = [(chance.uniform(0, 150), chance.uniform(0, 90), chance.uniform(1, 49), chance.uniform(1, 29))
             for _ in range(count)]  # fmt: skip
    return [dict(zip(("x", "y", "width", "height"), four, strict=True)) for four in sides]


def shown_box(box: dict[str, float], way: Mapping) -> dict[str, float]:
    ends = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
    corners = torch.tensor(ends, dtype=torch.float64)
    left, top, right, bottom = way.to_shown(corners).tolist()
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def test_boxes_and_points_come_back_from_a_magnified_picture(magnified: Mapping) -> None:
    boxes = some_boxes(300)
    shown = [shown_box(box, magnified) for box in boxes]
    assert max(abs(one["x"] - other["x"]) for one, other in zip(shown, boxes, strict=True)) > 5
    for found, box in zip(boxes_to_picture(shown, magnified), boxes, strict=True):
        assert all(math.isclose(found[side], box[side], abs_tol=1e-6) for side in box)
    chance = random.Random(6)
    spots = [{"x": chance.uniform(0, 199), "y": chance.uniform(0, 119)} for _ in range(300)]
    centres = torch.tensor([[one["x"], one["y"]] for one in spots], dtype=torch.float64) + 0.5
    moved = [{"x": x, "y": y} for x, y in (magnified.to_shown(centres) - 0.5).tolist()]
    for found, spot_ in zip(points_to_picture(moved, magnified), spots, strict=True):
        assert math.dist(found.values(), spot_.values()) < 1e-6


def test_a_thing_found_in_the_magnified_picture_is_where_it_was(magnified: Mapping) -> None:
    """The brightest pixel of a dot, and the box around a square, found by Find Regions in what is shown."""
    square = torch.zeros(SIZE)
    square[34:46, 140:161] = 1
    shown = magnified.mask_to_shown(square)
    (region,) = find_regions(shown)
    assert region.width > 1.5 * 21
    (box,) = boxes_to_picture(bounding_boxes([region]), magnified)
    for side, wanted in {"x": 140, "y": 34, "width": 21, "height": 12}.items():
        assert abs(box[side] - wanted) < 1
    dot = torch.zeros(SIZE)
    dot[40, 150] = 1
    (found,) = points_to_picture(points(find_regions(magnified.mask_to_shown(dot), threshold=0.2)), magnified)
    assert math.dist((found["x"], found["y"]), (150, 40)) < 1
    returned = mask_to_picture(shown, magnified)
    assert (returned - square).abs().mean() < 0.01
    assert 0 <= returned.min() <= returned.max() <= 1


def test_nothing_changes_where_nothing_moved() -> None:
    way = mapping(spot(40, 150, 9), FadeStyle())
    boxes = [{**CROP, "label": "cat", "score": 0.5, "metadata": {"a": 1}}, *some_boxes(50)]
    found = boxes_to_picture(boxes, way)
    assert json.dumps(found[0]) == json.dumps(boxes[0])  # whole numbers stay so
    for one, other in zip(found, boxes, strict=True):
        assert all(math.isclose(one[side], other[side], abs_tol=1e-9) for side in ("x", "y", "width", "height"))
    assert points_to_picture([{"x": 3, "y": 7}], way) == [{"x": 3, "y": 7}]
    mask = torch.rand(SIZE)
    assert torch.equal(mask_to_picture(mask, way), mask)


def test_what_is_found_in_a_crop_comes_back_to_the_pixel() -> None:
    mask = spot(25, 50, 3)
    picture = torch.rand(*SIZE, 3)
    (region,) = find_regions(mask, padding=4)
    part, way = crop_mask(mask, region), Cut.of(region.as_bounding_box(), SIZE)
    assert part.shape == way.size
    (inner,) = find_regions(part)
    (box,) = boxes_to_picture(bounding_boxes([inner]), way)
    (whole,) = find_regions(mask)
    assert {side: box[side] for side in CROP} == {side: whole.as_bounding_box()[side] for side in CROP}
    assert points_to_picture(points([inner]), way) == points([whole])
    assert torch.equal(crop(picture, box), crop(crop(picture, region), bounding_boxes([inner])[0]))
    returned = mask_to_picture(part, way)
    assert torch.equal(crop_mask(returned, region), part)
    assert torch.count_nonzero(returned) == torch.count_nonzero(part)


def test_several_crops_are_gathered_by_their_pictures() -> None:
    frames = [[CROP, {**CROP, "x": 50}], [], [CROP]]
    back = WaysBack.of_crops(frames, [SIZE])
    inner = {"x": 1, "y": 2, "width": 3, "height": 4}
    assert [[box["x"] for box in found] for found in back.boxes([[inner], [inner, inner], []])] == [
        [31, 51, 51],
        [],
        [],
    ]
    assert back.points([[{"x": 0, "y": 0}]]) == [[{"x": 30, "y": 10}, {"x": 50, "y": 10}], [], [{"x": 30, "y": 10}]]
    dark, bright = torch.full((20, 40), 0.25), torch.full((20, 40), 0.75)
    first, second, third = back.masks([bright, dark, dark])
    assert torch.equal(first[10:30, 30:70], bright)  # where two crops overlap the greater value
    assert torch.equal(first[10:30, 70:90], dark[:, :20])
    assert first.sum() == 800 * 0.75 + 400 * 0.25
    assert not second.any()
    assert third.max() == 0.25


def test_one_way_serves_every_object(magnified: Mapping) -> None:
    """A detector that gives a mask for each object of one picture."""
    masks = [spot(40, 150, 5), spot(80, 20, 5), spot(10, 10, 5)]
    found = WaysBack.of_each([magnified]).masks(masks)
    assert len(found) == 3
    assert torch.equal(found[1], magnified.mask_to_picture(masks[1]).clamp(0, 1))
    assert len(WaysBack.of_each([magnified] * 2).boxes([[CROP]])) == 2


OUTSIDE = {"x": 190, "y": 5, "width": 30, "height": 10}


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (OUTSIDE, "190.*lies outside .* 200 x 120"),
        ({**OUTSIDE, "x": -40}, "-40"),
        ({**CROP, "x": math.nan}, "finite"),
        ({**CROP, "width": math.inf}, "finite"),
        ({**CROP, "width": -3}, "below 0"),
        ({"x": 1, "y": 2}, "width"),
        ({**CROP, "x": "3"}, "finite numbers x"),
        ("abc", "finite numbers x"),
    ],
)
def test_boxes_that_cannot_be_meant(magnified: Mapping, box: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as error:
        boxes_to_picture([box], magnified)
    assert "\n" not in str(error.value)


def test_a_detector_s_overshoot_comes_back_as_it_is(magnified: Mapping) -> None:
    (box,) = boxes_to_picture([{"x": -0.5, "y": 0, "width": 201.5, "height": 120}], magnified)
    assert (box["x"], box["width"]) == (-0.5, 201.5)


@pytest.mark.parametrize(("point", "said"), [({"x": 300, "y": 1}, "outside"), ({"x": None, "y": 1}, "x, y"), ({}, "x")])
def test_points_that_cannot_be_meant(magnified: Mapping, point: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        points_to_picture([point], magnified)


def test_masks_that_cannot_be_meant(magnified: Mapping) -> None:
    with pytest.raises(InvalidInput, match=r"100 x 60 .* 200 x 120"):
        mask_to_picture(torch.ones(60, 100), magnified)
    with pytest.raises(InvalidInput, match="NaN"):
        mask_to_picture(torch.full(SIZE, math.nan), magnified)
    part = torch.ones(20, 40)
    with pytest.raises(InvalidInput, match="how large the picture is"):
        mask_to_picture(part, Cut.of(CROP))
    with pytest.raises(InvalidInput, match="whole pixels"):
        mask_to_picture(part, Cut.of({**CROP, "x": 1.5}, SIZE))
    with pytest.raises(InvalidInput, match="does not lie in the picture of 50 x 30"):
        Cut.of(CROP, (30, 50))


def test_counts_that_do_not_match(magnified: Mapping) -> None:
    back = WaysBack.of_each([magnified] * 3)
    for bring, one in ((back.boxes, [CROP]), (back.points, [{"x": 1, "y": 1}]), (back.masks, spot(9, 9, 9))):
        with pytest.raises(InvalidInput, match=r"2 .* for 3 pictures or crops"):
            bring([one, one])
    with pytest.raises(InvalidInput, match="2 pictures for the crops of 3"):
        WaysBack.of_crops([[CROP]] * 3, [SIZE] * 2)
    with pytest.raises(InvalidInput, match="no box of a crop"):
        WaysBack.of_crops([[], []])


def test_every_form_of_boxes_and_points() -> None:
    assert read_boxes(CROP) == read_boxes([CROP]) == read_boxes([[CROP]]) == [[CROP]]
    assert read_boxes([[CROP], []]) == [[CROP], []]
    assert read_boxes([]) == [[]]
    for wrong in (None, 3, "text", [3], [[CROP], CROP]):
        with pytest.raises(InvalidInput, match="no boxes"):
            read_boxes(wrong)
    assert read_points('[{"x": 1, "y": 2.5}]') == [{"x": 1, "y": 2.5}]
    assert read_points(" ") == read_points("[]") == []
    for wrong in ("nonsense", '{"x": 1}', "[[1, 2]]"):
        with pytest.raises(InvalidInput, match=r'\[\{"x": 120'):
            read_points(wrong)


@pytest.mark.parametrize("odd", [math.nan, -math.inf, 10**400, None, "x"])
@pytest.mark.parametrize("name", ["x", "y", "width", "height"])
def test_what_is_no_number_is_no_cut(name: str, odd: Any) -> None:
    box = {"x": 1, "y": 2, "width": 5, "height": 5, name: odd}
    for made in (Cut.of, lambda given: Cut(**given)):
        with pytest.raises(InvalidInput, match=r"A box needs finite numbers x, y, width, height") as told:
            made(box)
        assert len(str(told.value)) < 200
