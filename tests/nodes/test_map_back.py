"""Map Back behind Overlay Attention and Find Regions, as ComfyUI hands things from one to the other."""

import json
import math
from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.tests.nodes.conftest import REGIONS
from pack.tests.on_host import Run

NODE = "AttnPromptMapBack"
MAGNIFY = {"style": "magnify", "zoom": 3.0, "keep": 0.2, "profile": "peak", "in_place": True}
FADE = {"style": "fade to grey", "level": 0, "rounding": "none"}


def spots() -> torch.Tensor:
    """Two masks of 40 x 56 with a soft spot at another place in each."""
    rows, columns = torch.arange(40)[:, None] + 0.5, torch.arange(56)[None] + 0.5
    places = ((10, 40), (28, 12))
    return torch.stack([torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 50) for y, x in places])


def overlay(run: Run, image: torch.Tensor, mask: torch.Tensor, style: dict[str, Any], strength: float = 1.0) -> Any:
    return run("AttnPromptOverlay", image=image, mask=mask, strength=strength, style=style).args


@pytest.mark.both_hosts
def test_the_mapping_is_that_of_the_picture(run: Run) -> None:
    image, masks = torch.rand(2, 40, 56, 3), spots()
    drawn, mapping = overlay(run, image, masks, MAGNIFY)
    assert len(mapping) == 2
    assert all(torch.equal(one.draw(image[i]), drawn[i]) for i, one in enumerate(mapping))
    assert all(one.moves for one in mapping)
    for strength, style in ((0.0, MAGNIFY), (1.0, FADE)):
        assert not any(one.moves for one in overlay(run, image, masks, style, strength)[1])
    shared = overlay(run, image, masks[:1], MAGNIFY)[1]
    assert len(shared) == 2
    assert shared[0] is shared[1]
    large = torch.rand(1, 80, 112, 3)  # the mask of another size
    (one,) = overlay(run, large, masks[:1], MAGNIFY)[1]
    assert one.size == (80, 112)
    assert torch.equal(one.draw(large[0]), overlay(run, large, masks[:1], MAGNIFY)[0][0])


@pytest.mark.both_hosts
def test_there_and_back_for_a_batch(run: Run) -> None:
    masks = spots()
    shown, mapping = overlay(run, masks[..., None].expand(-1, -1, -1, 3), masks, MAGNIFY)
    bboxes, points, _, _ = run("AttnPromptFindRegions", mask=shown[..., 0], **REGIONS).args
    found = run(NODE, mapping=[mapping], bboxes=[bboxes], points=points, mask=[shown[..., 0]])
    boxes, texts, (returned,) = found.args
    wanted = run("AttnPromptFindRegions", mask=masks, **REGIONS).args
    for number in range(2):
        (box,), (plain,) = boxes[number], wanted[0][number]
        assert all(abs(box[side] - plain[side]) < 1.5 for side in ("x", "y", "width", "height"))
        assert bboxes[number][0]["width"] > 1.3 * plain["width"]
        ((point,), (at,)) = json.loads(texts[number]), json.loads(wanted[1][number])
        assert math.dist(point.values(), at.values()) < 1.5
    assert returned.shape == masks.shape
    assert (returned - masks).abs().mean() < 0.02


@pytest.mark.both_hosts
def test_what_is_found_in_crops_comes_back(run: Run) -> None:
    masks, image = spots(), torch.rand(2, 40, 56, 3)
    bboxes, _, crops, crop_masks = run(
        "AttnPromptFindRegions", mask=masks, image=image, **{**REGIONS, "padding": 3}
    ).args
    inner = [run("AttnPromptFindRegions", mask=mask, **REGIONS).args for mask in crop_masks]
    boxes, points, (returned,) = run(
        NODE,
        mapping=[bboxes],
        bboxes=[one[0] for one in inner],
        points=[text for one in inner for text in one[1]],
        mask=crop_masks,
        image=[image],
    ).args
    wanted = run("AttnPromptFindRegions", mask=masks, **REGIONS).args
    assert [[box["x"] for box in found] for found in boxes] == [[box["x"] for box in found] for found in wanted[0]]
    assert points == wanted[1]
    for number, (box,) in enumerate(bboxes):
        x, y = slice(box["x"], box["x"] + box["width"]), slice(box["y"], box["y"] + box["height"])
        assert torch.equal(returned[number, y, x], masks[number, y, x])
        assert torch.equal(image[number, y, x], crops[number][0])


def test_pictures_of_several_sizes_come_back_one_by_one(run: Run) -> None:
    masks = [spots()[:1], spots()[1:, :30]]
    mappings = [overlay(run, mask[..., None].expand(-1, -1, -1, 3), mask, MAGNIFY)[1] for mask in masks]
    returned = run(NODE, mapping=mappings, mask=masks).args[2]
    assert [tuple(mask.shape) for mask in returned] == [(1, 40, 56), (1, 30, 56)]


@pytest.mark.both_hosts
def test_outputs_of_what_is_not_connected_are_stopped(run: Run) -> None:
    mapping = overlay(run, torch.rand(1, 40, 56, 3), spots()[:1], MAGNIFY)[1]
    boxes, points, mask = run(NODE, mapping=[mapping], points=['[{"x": 1, "y": 1}]']).args
    assert "bboxes" in boxes.message
    assert len(json.loads(points[0])) == 1
    assert "mask" in mask.message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Connect bboxes, points or mask"),
        ({"bboxes": [[{"x": 50, "y": 0, "width": 40, "height": 3}]]}, "outside of the picture or crop of 56 x 40"),
        ({"points": ['[{"x": NaN, "y": 1}]']}, "finite numbers x, y"),
        ({"mask": [torch.zeros(1, 20, 28)]}, "28 x 20"),
        ({"mask": [torch.full((1, 40, 56), math.nan)]}, "NaN"),
        ({"points": ["[]"] * 3}, "3 lists of points for 2"),
        ({"bboxes": ["boxes"]}, "bboxes takes boxes, not 'boxes'"),
    ],
)
def test_mistakes(run: Run, given: dict[str, Any], said: str) -> None:
    mapping = overlay(run, torch.rand(2, 40, 56, 3), spots(), MAGNIFY)[1]
    with pytest.raises(InvalidInput, match=said) as error:
        run(NODE, mapping=[mapping], **given)
    assert "\n" not in str(error.value)


def test_a_crop_s_mask_needs_the_picture(run: Run) -> None:
    crop = {"x": 3, "y": 4, "width": 10, "height": 8}
    with pytest.raises(InvalidInput, match="image"):
        run(NODE, mapping=[[crop]], mask=[torch.ones(1, 8, 10)])
    (mask,) = run(NODE, mapping=[[crop]], mask=[torch.ones(1, 8, 10)], image=[torch.rand(1, 40, 56, 3)]).args[2]
    assert mask.sum() == 80
    assert mask[0, 4:12, 3:13].all()
