"""What Smooth & Enhance Mask and Overlay Attention leave so that the page can redraw their result without a run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pack.tests.nodes.conftest import MASK
from pack.tests.nodes.test_faces import file_of, read
from pack.tests.on_host import Run
from pack.tests.promised import inputs


def entry(result: Any) -> dict[str, Any]:
    (found,) = result.ui["attention_prompting"]
    return found


def test_tune_mask_leaves_the_raw_heatmap_and_the_settings_of_its_widgets(run: Run, heatmap: Any, models: Path) -> None:
    result = run("AttnPromptTuneMask", heatmap=heatmap, **{**MASK, "words": "red", "grow": 2}, feather=3)
    header, floats = read(file_of(models, entry(result)["heatmap"]).read_bytes())
    view = header["pictures"][0]["parts"][0]["views"][0]
    values = heatmap.pictures[0].parts[header["pictures"][0]["parts"][0]["name"]][0].values
    left = floats[view["values"] : view["values"] + values.numel()]
    assert torch.equal(torch.tensor(left).reshape(values.shape), values)
    left_out = {name: given["default"] for name, given in inputs("AttnPromptTuneMask").items() if "default" in given}
    assert entry(result)["settings"] == {**left_out, **MASK, "words": "red", "grow": 2, "feather": 3}


@pytest.mark.both_hosts
def test_overlay_leaves_pictures_masks_and_the_settings_of_its_widgets(
    run: Run, image: torch.Tensor, models: Path
) -> None:
    style = {"style": "outline", "colour": "#00ff00", "width": 2, "threshold": 0.5}
    mask = torch.rand(1, 40, 56, generator=torch.Generator().manual_seed(1))
    found = entry(run("AttnPromptOverlay", image=image, mask=mask, strength=0.5, style=style))
    assert len(found["pictures"]) == 3
    assert found["size"] == [40, 56]
    header, floats = read(file_of(models, found["masks"]).read_bytes())
    assert [given["size"] for given in header["masks"]] == [[40, 56]]
    assert torch.equal(torch.tensor(floats).reshape(40, 56), mask[0])
    assert found["settings"] == {
        "strength": 0.5,
        "style": "outline",
        "style.colour": "#00ff00",
        "style.width": 2,
        "style.threshold": 0.5,
    }


@pytest.mark.parametrize("node_id", ["AttnPromptTuneMask", "AttnPromptOverlay"])
def test_every_widget_is_among_the_settings(run: Run, classes: Any, heatmap: Any, image: Any, node_id: str) -> None:
    schema = classes[node_id].define_schema()
    widgets = {
        given.id for given in schema.inputs if given.get_io_type() not in ("IMAGE", "MASK", "ATTNPROMPT_HEATMAP")
    }
    given = {
        "AttnPromptTuneMask": {"heatmap": heatmap, **MASK},
        "AttnPromptOverlay": {"image": image, "mask": image[..., 0], "strength": 1.0, "style": {"style": "desaturate"}},
    }
    assert set(entry(run(node_id, **given[node_id]))["settings"]) == widgets
