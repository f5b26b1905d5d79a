"""Where the numbers of a pixel input lie in the picture: on the straight lines that a processor resizes along."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.inputs.pixel_map import PixelMap, pixel_maps

Models = Callable[[str], Any]


def places(model: Any, height: int, width: int) -> PixelMap:
    (found,) = pixel_maps(model, Case((torch.rand(height, width, 3),), "?")).values()
    return found


@pytest.mark.parametrize("side", [20, 48, 61, 336, 900])
@pytest.mark.parametrize("name", ["llava-1.5", "paligemma", "gemma3"])
def test_a_mask_reaches_a_square_as_if_it_were_enlarged_to_it(name: str, side: int, lvlm: Models) -> None:
    """The published way: bilinear, corner cells on the middles of the outermost pixels, whatever the picture's size."""
    found = places(lvlm(name), side, side)
    masks = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    enlarged = F.interpolate(masks[:, None], found.shape[-2:], mode="bilinear", align_corners=True)
    expected = enlarged.expand(-1, 3, -1, -1).flatten(1)
    assert float((found.mask_to_pixels(masks) - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("name", ["qwen2.5-vl", "glm4v"])
def test_patches_lie_where_their_processor_cuts_them(name: str, lvlm: Models) -> None:
    found = places(lvlm(name), 96, 64)
    rows, columns = 12, 8  # of patches of 8 x 8 pixels, four of a square after each other, two frames, three colours
    across = torch.linspace(-1, 1, columns * 8).expand(rows * 8, -1)
    down = torch.linspace(-1, 1, rows * 8)[:, None].expand(-1, columns * 8)
    for own, exact in ((found.x, across), (found.y, down)):
        cut = exact.reshape(rows // 2, 2, 8, columns // 2, 2, 8).permute(0, 3, 1, 4, 2, 5)
        expected = cut.reshape(rows * columns, 1, 64).expand(-1, 6, -1).flatten()
        assert float((own - expected).abs().max()) < 0.1 * 2 / 64


@pytest.mark.parametrize("name", ["llava-next", "internvl", "smolvlm2"])
def test_rows_and_columns_of_every_tile_are_straight(name: str, lvlm: Models) -> None:
    found = places(lvlm(name), 90, 150)
    views = [part.reshape(-1, 3, *found.shape[-2:]) for part in (found.x, found.y, found.known)]
    assert len(views[0]) > 2
    for x, y, known in zip(*views, strict=True):
        fullest = int(known[0].sum(1).argmax())
        step = x[0, fullest][known[0, fullest] > 0].diff()
        assert float(step.max() - step.min()) < 1e-5
        widest = int(known[0].sum(0).argmax())
        assert torch.equal(x, x[:1, fullest : fullest + 1] * known)
        assert torch.equal(y, y[:1, :, widest : widest + 1] * known)
