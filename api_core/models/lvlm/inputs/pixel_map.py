"""Where in the picture each number of a model's pixel input comes from, said by the model's own processor.

The four grey pictures of the pixel probe take the place of the one asked about and go through the very path that it
goes through. A number that is the same for black and white (padding, another picture of the prompt) has no place;
between the two, the ramps tell the place of all others. So a mask over the picture reaches every crop, tile, thumbnail
and patch, in whatever order a model has them.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ....errors import UnsupportedModel
from ...conversation.case import Case
from ..families.pixel_probe import probe_levels, shares_of_ramps, straightened
from ..model import LvlmModel


@dataclass(frozen=True)
class PixelMap:
    """Of one pixel input, all as float32 [P] in its flat order: x and y in -1..1 from edge to edge of the picture.

    known: 1 where a number comes from the picture, 0 where it does not (x and y are 0 there). shape: of the input.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    shape: torch.Size

    def mask_to_pixels(self, masks: Tensor) -> Tensor:
        """Masks [K, rows, columns], corner cells on the picture's corners, as weights [K, P]; 1 where unknown."""
        grid = torch.stack([self.x, self.y], -1).to(masks.device)[None, None]
        known = self.known.to(masks.device)
        sampled = F.grid_sample(
            masks[:, None], grid.expand(len(masks), -1, -1, -1), padding_mode="border", align_corners=True
        )
        return sampled[:, 0, 0] * known + (1 - known)


def pixel_inputs(model: LvlmModel, case: Case) -> dict[str, Tensor]:
    """What the processor makes of a case, on the CPU: only the inputs of fractions, which are pixels."""
    inputs = model.prepare([case], with_places=False).inputs
    return {name: value for name, value in inputs.items() if value.is_floating_point()}


def pixel_maps(model: LvlmModel, case: Case) -> dict[str, PixelMap]:
    """The places of every pixel input of a case in its first picture."""
    size = (case.pictures[0].shape[0], case.pictures[0].shape[1])
    black, white, across, down = (
        pixel_inputs(model, replace(case, pictures=(level[..., None].expand(*size, 3), *case.pictures[1:])))
        for level in probe_levels(size, 1, torch.float32)
    )
    found = {name: _pixel_map(model, black[name], white[name], across[name], down[name], size) for name in black}
    if not any(bool(places.known.any()) for places in found.values()):
        raise UnsupportedModel(f"The processor of {model.name} gives no pixels that follow the picture.")
    return found


def _pixel_map(
    model: LvlmModel, black: Tensor, white: Tensor, across: Tensor, down: Tensor, size: tuple[int, int]
) -> PixelMap:
    if len({tuple(tensor.shape) for tensor in (black, white, across, down)}) != 1:
        raise UnsupportedModel(
            f"The processor of {model.name} cuts pictures of one size differently depending on what they show, so no "
            "mask can be laid over them. Use another model."
        )
    contrast, full = (white - black).flatten(), (white - black).abs().amax()
    known, (right, below) = shares_of_ramps(black.flatten(), contrast, full, (across.flatten(), down.flatten()))
    # Between the middles of the outermost pixels, 0..1, then as grid_sample counts with corners on corners.
    x, y = (
        (straightened(own, other) - 0.5) * length / max(length - 1, 1) * 2
        for own, other, length in ((right, below, size[1]), (below, right, size[0]))
    )
    zero = torch.zeros(())
    return PixelMap(torch.where(known, x, zero), torch.where(known, y, zero), known.float(), black.shape)
