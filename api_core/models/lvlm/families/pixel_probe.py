"""Let a model's own processor say where its image tokens come from.

Four grey pictures of one size go through the very processor and options that the real picture went through: black,
white, one that brightens to the right and one that brightens downwards. Where black and white come out alike there is
padding; elsewhere the two ramps, measured between black and white, are the place of every pixel or patch. No geometry
is known here, and no mean, standard deviation or layout of channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....errors import UnsupportedModel

# A ramp's share along its own axis; the rest goes along the other. 256 levels are coarse for a wide picture, and what
# a processor rounds would be off the same way along a whole column. The tilt moves each row through the roundings, so
# that means over a patch or a column are right to a small part of a level.
_MAIN = 7 / 8
_CHANNELS = (1, 3)
# Below this share of its full contrast a pixel is more padding than picture.
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class ProbedView:
    """What the model gets of one view, in picture pixels: float32, pixels [R, C] of a view or patches [N] in order.

    share: how much of it is picture rather than padding, 0..1; x and y mean nothing where it is 0.
    """

    x: Tensor
    y: Tensor
    share: Tensor

    @property
    def in_patches(self) -> bool:
        """Whether these are patches in the model's order rather than the pixels of a view."""
        return self.x.ndim == 1


@dataclass(frozen=True)
class ProbedPicture:
    """What one picture becomes: its views in the model's order, and how many image tokens it has in a prompt."""

    views: tuple[ProbedView, ...]
    tokens: int


def probe_picture(
    processor: Any,
    prompt: str,
    image_token: int,
    size: tuple[int, int],
    copies: int = 1,
    options: Mapping[str, Any] | None = None,
) -> ProbedPicture:
    """What a picture of `size` (H, W) becomes in a prompt that holds `copies` pictures of that size.

    options: what the processor is called with besides text and pictures.
    """
    pictures = (
        level.round().to(torch.uint8)[..., None].expand(*size, 3) for level in probe_levels(size, 255, torch.float64)
    )
    runs = [_run(processor, prompt, image_token, picture.numpy(), copies, options or {}) for picture in pictures]
    if len({len(views) for views, _ in runs}) != 1:
        raise UnsupportedModel(
            "The model's image processor cuts pictures of one size differently depending on what they show, so no map "
            "can be laid over them. Use another model."
        )
    views = [
        probed_view(black, white, across, down, size)
        for black, white, across, down in zip(*(views for views, _ in runs), strict=True)
    ]
    return ProbedPicture(tuple(view for view in views if view.share.numel()), runs[0][1])


def _run(
    processor: Any, prompt: str, image_token: int, picture: np.ndarray, copies: int, options: Mapping[str, Any]
) -> tuple[list[Tensor], int]:
    """The views [C, R, W] or patches [N, D] of one picture, and its image tokens."""
    from PIL import Image

    made = processor(
        text=[prompt], images=[[Image.fromarray(picture)] * copies], return_tensors="pt", **deepcopy(dict(options))
    )
    if "pixel_values" not in made:
        raise UnsupportedModel(
            f"The processor {type(processor).__name__} gives {', '.join(made)} and no pixel_values, so where its image "
            "tokens come from cannot be found out. Use another model for heatmaps."
        )
    views = views_of(made["pixel_values"])
    tokens = int((torch.as_tensor(made["input_ids"]) == image_token).sum())
    if tokens % copies or (len(views) % copies and len(views) != 1):
        raise UnsupportedModel(
            f"{copies} equal pictures became {len(views)} views and {tokens} image tokens; they cannot be told apart. "
            "Use one picture, or another model."
        )
    if len(views) == 1 and copies > 1:
        return [views[0][: len(views[0]) // copies]], tokens // copies
    return views[: len(views) // copies], tokens // copies


def views_of(pixels: Any) -> list[Tensor]:
    """Take nested pictures and tiles apart, down to single views [C, R, W] and lists of patches [N, D]."""
    if isinstance(pixels, list | tuple):
        return [view for part in pixels for view in (views_of(part) if _is_batch(part) else [_values(part)])]
    values = _values(pixels)
    if values.ndim == 2:
        return [values]
    deepest = 3 if values.ndim > 3 and values.shape[-3] in _CHANNELS else 2
    return list(values.reshape(-1, *values.shape[-deepest:]))


def _is_batch(part: Any) -> bool:
    return (
        isinstance(part, list | tuple) or len(part.shape) > 3 or (len(part.shape) == 3 and len(part) not in _CHANNELS)
    )


def _values(pixels: Any) -> Tensor:
    return torch.as_tensor(pixels).to(torch.float32)


def probe_levels(size: tuple[int, int], most: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Grey levels 0 … most [H, W] of the four pictures: black, white, brighter to the right, brighter downwards."""
    down, across = ((torch.arange(length, dtype=dtype) + 0.5) / length * most for length in size)
    black, down, across = torch.zeros(size, dtype=dtype), down[:, None].expand(size), across.expand(size)
    return black, black + most, _MAIN * across + (1 - _MAIN) * down, _MAIN * down + (1 - _MAIN) * across


def shares_of_ramps(
    black: Tensor, contrast: Tensor, full: Tensor, ramps: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Which numbers follow the picture, and how bright each is in the two ramps: 0 as black … 1 as white.

    contrast: white less black; full: the most that it can be.
    """
    known = contrast.abs() > _LEAST_SHARE * full.clamp(min=1e-12)
    safe = torch.where(known, contrast, torch.ones(()))
    across, down = ((ramp - black) / safe for ramp in ramps)
    return known, (across, down)


def straightened(own: Tensor, other: Tensor) -> Tensor:
    """The place along an axis, 0..1, from how bright the ramp along it is there and the other one."""
    return (_MAIN * own - (1 - _MAIN) * other) / (_MAIN**2 - (1 - _MAIN) ** 2)


def probed_view(black: Tensor, white: Tensor, across: Tensor, down: Tensor, size: tuple[int, int]) -> ProbedView:
    """Where one view [C, R, W], or patches [N, D], of the four pictures comes from. size: theirs, (H, W)."""
    contrast = white - black
    over = 0 if contrast.ndim == 3 else 1
    full = contrast.abs().amax((1, 2) if over == 0 else 0, keepdim=True)
    known, bright = shares_of_ramps(black, contrast, full, (across, down))
    count = known.sum(over)
    right, below = (torch.where(known, part, torch.zeros(())).sum(over) / count.clamp(min=1) for part in bright)
    share = contrast.abs() / full.clamp(min=1e-12)
    x, y = straightened(right, below) * size[1], straightened(below, right) * size[0]
    seen = ProbedView(x, y, torch.where(count > 0, share.mean(over), torch.zeros(())))
    if not seen.in_patches:
        return seen
    # Patches after the last one that saw something fill a batch up; they are no tokens.
    last = int(seen.share.nonzero()[-1]) + 1 if bool(seen.share.any()) else 0
    return ProbedView(seen.x[:last], seen.y[:last], seen.share[:last])
