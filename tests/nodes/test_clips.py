"""The frames of a video through the nodes."""

from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.tests.nodes.conftest import HEATMAP, LVLM_HEATMAP, MASK
from pack.tests.on_host import Run

SCENE = {"width": 96, "height": 64, "objects": 3, "seed": 5}


@pytest.fixture
def frames(run: Run) -> torch.Tensor:
    return run("AttnPromptDemoScene", **SCENE, frames=6).args[0]


def test_a_demo_scene_moves(run: Run, frames: torch.Tensor) -> None:
    image, description, boxes = run("AttnPromptDemoScene", **SCENE, frames=6).args
    assert image.shape == (6, 64, 96, 3)
    assert torch.equal(image, frames)
    mover, *others = description.split(", ")
    assert [len(found) for found in boxes] == [2, 3, 3, 3, 3, 2]
    assert {box["label"] for box in boxes[0]} == set(others)
    lefts = [box["x"] for found in boxes for box in found if box["label"] == mover]
    assert lefts == sorted(lefts)


def test_one_frame_is_the_picture_it_always_was(run: Run) -> None:
    image, description, boxes = run("AttnPromptDemoScene", **SCENE).args
    assert image.shape == (1, 64, 96, 3)
    assert len(boxes) == 1
    assert description == ", ".join(box["label"] for box in boxes[0])
    assert torch.equal(run("AttnPromptDemoScene", **SCENE, frames=1).args[0], image)


def test_a_clip_is_read_measured_and_drawn(run: Run, clip: Any, frames: torch.Tensor) -> None:
    heatmap = run("AttnPromptCLIPHeatmap", clip=clip, image=frames, query="red star", **HEATMAP, every=2).args[0]
    assert len(heatmap) == 6
    (mask,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK, scale="whole batch", steady=1).args
    assert mask.shape == (6, 64, 96)
    drawn = run("AttnPromptOverlay", image=frames, mask=mask, strength=1.0, style={"style": "fade to grey"}).args[0]
    assert torch.allclose(drawn, frames * mask[..., None], atol=1e-5)


def test_masks_of_a_clip_are_held_once(run: Run, clip: Any, frames: torch.Tensor, monkeypatch: Any) -> None:
    heatmap = run("AttnPromptCLIPHeatmap", clip=clip, image=frames, query="red star", **HEATMAP).args[0]
    stacked = []
    monkeypatch.setattr(torch, "stack", lambda *given, **more: stacked.append(given))
    run("AttnPromptTuneMask", heatmap=heatmap, **MASK)
    assert stacked == []


def test_an_lvlm_reads_every_second_frame(run: Run, lvlm: Any, frames: torch.Tensor) -> None:
    found = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=frames, question="what?", **LVLM_HEATMAP, every=2)
    assert len(found.args[0]) == len(found.args[1]) == 6
    with pytest.raises(InvalidInput, match="every"):
        run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=frames, question="what?", **LVLM_HEATMAP, every=[2, 3])
