"""Where in the picture each number of a model's pixel input comes from, said by the model's own processor.

The four grey pictures of the pixel probe take the place of the one asked about and go through the very path that it
goes through. A number that is the same for black and white (padding, another picture of the prompt) has no place;
between the two, the ramps tell the place of all others, as finely as 256 levels do; what lies in rows and columns then
goes onto straight lines through those places. So a mask over the picture reaches every crop, tile, thumbnail and patch,
in whatever order a model has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ....errors import UnsupportedModel
from ...conversation.case import Case
from ..families.grids import raster_box
from ..families.pixel_probe import probe_levels, probed_view, shares_of_ramps, straightened, views_of
from ..model import LvlmModel


@dataclass(frozen=True)
class PixelMap:
    """Of one pixel input, all as float32 [P] in its flat order: x and y in -1..1 between the middles of the picture's
    outermost pixels, as the view that the number belongs to has them.

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
    levels = (black, white, across, down)
    contrast, full = white - black, (white - black).abs().amax()
    known, (right, below) = shares_of_ramps(black, contrast, full, (across, down))
    x, y = straightened(right, below) * size[1], straightened(below, right) * size[0]
    parts = zip(*(views_of(level) for level in (*levels, known, x, y)), strict=True)
    side = model.family.patch_side(model.config) or 0
    placed = [_on_lines(part[:4], part[4] > 0, part[5], part[6], size, side) for part in parts]
    x, y = (torch.cat([each[axis].flatten() for each in placed]) for axis in range(2))
    zero, known = torch.zeros(()), known.flatten()
    return PixelMap(torch.where(known, x, zero), torch.where(known, y, zero), known.float(), black.shape)


def _on_lines(
    levels: Sequence[Tensor], known: Tensor, x: Tensor, y: Tensor, size: tuple[int, int], side: int
) -> tuple[Tensor, Tensor]:
    """The places of one view [C, R, W], or of patches [N, D], as PixelMap has them. x, y: as measured, in pixels. side:
    of a patch, 0 where nobody says it."""
    if not bool(known.any()):
        return x, y
    if x.ndim == 2:
        return _of_patches(x, known, size[1], side), _of_patches(y, known, size[0], side)
    black, white, across, down = levels
    rows, columns = x.shape[1:]
    try:
        box = raster_box(probed_view(black, white, across, down, size), size, (0, rows, 0, columns))
    except UnsupportedModel:  # bent, as by the edges of a picture that was shrunk to a few pixels: as measured
        return x, y
    right = box.left + (torch.arange(columns) + 0.5) / columns * box.width
    below = box.top + (torch.arange(rows) + 0.5) / rows * box.height
    return (
        _between_middles(right, size[1], columns * size[1] / box.width).expand_as(x),
        _between_middles(below, size[0], rows * size[0] / box.height)[:, None].expand_as(y),
    )


def _of_patches(places: Tensor, known: Tensor, length: int, side: int) -> Tensor:
    """Places [N, D] in patches of one size: the middle of each, and offsets from it that all have in common."""
    count = known.sum(1, keepdim=True)
    middles = (places * known).sum(1, keepdim=True) / count.clamp(min=1)
    whole = (count == count.amax()).float()
    offsets = ((places - middles) * whole).sum(0) / whole.sum()
    step = float(offsets.max() - offsets.min()) / (side - 1) if side > 1 else 0.0
    return _between_middles(middles + offsets, length, length / step if step else length)


def _between_middles(places: Tensor, length: int, pixels: float) -> Tensor:
    """Places in 0 … length as -1..1 between the middles of the outermost of so many pixels."""
    return (places / length - 0.5) * 2 * pixels / max(pixels - 1, 1)
