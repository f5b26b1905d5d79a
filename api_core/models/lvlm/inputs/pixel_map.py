"""Where in the picture each number of a model's pixel input comes from, said by the model's own processor.

Four grey pictures take the place of the one asked about and go through the very path that it goes through: black,
white, one that brightens to the right and one that brightens downwards. A number that is the same for black and white
(padding, another picture of the prompt) has no place; between the two, the ramps tell the place of all others. So a
mask over the picture reaches every crop, tile, thumbnail and patch, in whatever order a model has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ....errors import UnsupportedModel
from ...conversation.case import Case
from ..model import LvlmModel

# Ramps have 256 levels; tilted a little, each row goes through the roundings elsewhere (as in families/probe.py).
_MAIN = 7 / 8
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class PixelPlaces:
    """Of one pixel input, all as float32 [P] in its flat order: x and y in -1..1 from edge to edge of the picture.

    known: 1 where a number comes from the picture, 0 where it does not (x and y are 0 there). shape: of the input.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    shape: torch.Size

    def lift(self, masks: Tensor) -> Tensor:
        """Masks [K, rows, columns], corner cells on the picture's corners, as weights [K, P]; 1 where unknown."""
        grid = torch.stack([self.x, self.y], -1).to(masks.device)[None, None]
        known = self.known.to(masks.device)
        sampled = F.grid_sample(
            masks[:, None], grid.expand(len(masks), -1, -1, -1), padding_mode="border", align_corners=True
        )
        return sampled[:, 0, 0] * known + (1 - known)


def pixel_inputs(model: LvlmModel, case: Case) -> dict[str, Tensor]:
    """What the processor makes of a case, on the CPU: only the inputs of fractions, which are pixels."""
    return {name: value for name, value in _inputs(model, case).items() if value.is_floating_point()}


def pixel_places(model: LvlmModel, case: Case) -> dict[str, PixelPlaces]:
    """The places of every pixel input of a case in its first picture."""
    size = (case.pictures[0].shape[0], case.pictures[0].shape[1])
    black, white, across, down = (
        pixel_inputs(model, replace(case, pictures=(picture, *case.pictures[1:]))) for picture in _probes(size)
    )
    found = {name: _places(model, black[name], white[name], across[name], down[name], size) for name in black}
    if not any(bool(places.known.any()) for places in found.values()):
        raise UnsupportedModel(f"The processor of {model.name} gives no pixels that follow the picture.")
    return found


def _inputs(model: LvlmModel, case: Case) -> Mapping[str, Tensor]:
    return model.prepare([case], with_places=False).inputs


def _probes(size: tuple[int, int]) -> tuple[Tensor, ...]:
    down = ((torch.arange(size[0]) + 0.5) / size[0])[:, None].expand(size)
    across = ((torch.arange(size[1]) + 0.5) / size[1]).expand(size)
    levels = (
        torch.zeros(size),
        torch.ones(size),
        _MAIN * across + (1 - _MAIN) * down,
        _MAIN * down + (1 - _MAIN) * across,
    )
    return tuple(level[..., None].expand(*size, 3).contiguous() for level in levels)


def _places(
    model: LvlmModel, black: Tensor, white: Tensor, across: Tensor, down: Tensor, size: tuple[int, int]
) -> PixelPlaces:
    if len({tuple(tensor.shape) for tensor in (black, white, across, down)}) != 1:
        raise UnsupportedModel(
            f"The processor of {model.name} cuts pictures of one size differently depending on what they show, so no "
            "mask can be laid over them. Use another model."
        )
    contrast = (white - black).flatten()
    known = contrast.abs() > _LEAST_SHARE * contrast.abs().amax().clamp(min=1e-12)
    safe = torch.where(known, contrast, torch.ones(()))
    first, second = (((ramp - black).flatten() / safe) for ramp in (across, down))
    straight = _MAIN**2 - (1 - _MAIN) ** 2
    # Between the middles of the outermost pixels, 0..1, then as grid_sample counts with corners on corners.
    x, y = (
        ((_MAIN * a - (1 - _MAIN) * b) / straight - 0.5) * length / max(length - 1, 1) * 2
        for a, b, length in ((first, second, size[1]), (second, first, size[0]))
    )
    zero = torch.zeros(())
    return PixelPlaces(torch.where(known, x, zero), torch.where(known, y, zero), known.float(), black.shape)
