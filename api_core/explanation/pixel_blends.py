"""Blends of a picture and its baseline as a model's own pixels, and masks over the picture as weights of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..autograd import frozen
from ..errors import InvalidInput, UnsupportedModel
from ..models.conversation.case import Case
from ..models.lvlm.inputs.pixel_map import PixelMap, pixel_inputs, pixel_maps
from ..models.lvlm.model import LvlmModel
from .objective import Noise, Towards


@dataclass(frozen=True)
class PixelBlends:
    """Both are what the model's processor made, by input name; only the mask is warped. All float32 on the CPU."""

    maps: Mapping[str, PixelMap]
    picture: Mapping[str, Tensor]
    baseline: Mapping[str, Tensor]

    @staticmethod
    def of(model: LvlmModel, case: Case, baseline: Tensor) -> PixelBlends:
        """Of a case's first picture [H, W, 3] and a baseline of the same size."""
        with frozen():
            known = PixelBlends(pixel_maps(model, case), pixel_inputs(model, case), {})
        return known.against(model, case, baseline)

    def against(self, model: LvlmModel, case: Case, baseline: Tensor) -> PixelBlends:
        """The same picture with another baseline."""
        if baseline.shape != case.pictures[0].shape:
            raise InvalidInput(
                f"The baseline must be as large as the picture, {list(case.pictures[0].shape)}, not "
                f"{list(baseline.shape)}."
            )
        with frozen():
            hidden = pixel_inputs(model, replace(case, pictures=(baseline, *case.pictures[1:])))
        for name, shown in self.picture.items():
            if shown.shape != hidden[name].shape or shown.shape != self.maps[name].shape:
                raise UnsupportedModel(
                    f"The processor of {model.name} cuts the picture and its baseline differently, so they cannot be "
                    "blended. Use another model."
                )
        return replace(self, baseline=hidden)

    @property
    def edge_image(self) -> Tensor:
        """The first view as a picture [C, h, w], normalised."""
        name = next(iter(self.picture))
        return _first_view(self.picture[name], self.maps[name].x, self.maps[name].y)

    def pixel_weights(self, masks: Tensor) -> Tensor:
        """Masks [K, rows, columns] over the picture as weights [K, P] of all inputs' pixels in turn."""
        return torch.cat([pixel_map.mask_to_pixels(masks) for pixel_map in self.maps.values()], 1)

    def blend(self, weights: Tensor, towards: Towards, noise: Noise | None) -> dict[str, Tensor]:
        """The pixel inputs of N blends, from weights [N, P]."""
        made, first = {}, 0
        for name, picture in self.picture.items():
            part = weights[:, first : first + picture.numel()]
            first += picture.numel()
            shown, other = (picture, self.baseline[name]) if towards == "picture" else (self.baseline[name], picture)
            blend = torch.lerp(other.flatten(), shown.flatten(), part)
            blend = blend if noise is None else blend + noise.like(blend) * self.maps[name].known
            made[name] = blend.reshape(len(weights) * picture.shape[0], *picture.shape[1:])
        return made


def _first_view(pixels: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The first view of a pixel input as a picture [C, h, w]; of patches, the whole picture put together by place."""
    if pixels.ndim >= 4:
        return pixels.reshape(-1, *pixels.shape[-3:])[0]
    side = max(2, round((pixels.numel() / 3) ** 0.5))
    down = ((y + 1) / 2 * (side - 1)).round().long().clamp(0, side - 1)
    right = ((x + 1) / 2 * (side - 1)).round().long().clamp(0, side - 1)
    flat = torch.zeros(side * side).index_add(0, down * side + right, pixels.flatten())
    count = torch.zeros(side * side).index_add(0, down * side + right, torch.ones(pixels.numel()))
    return (flat / count.clamp(min=1)).reshape(1, side, side)
