"""Uneven light for training pictures, unrelated to anything asked: soft spots, dark corners, a fall of light."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..tiny_clip.augment import spoil


def spoil_and_shade(pixels: Tensor, generator: torch.Generator, clean: float = 0.3, shaded: float = 0.5) -> Tensor:
    """`spoil` (light, contrast, tint, blur, noise), then uneven light on a share `shaded`; [B, 3, h, w] in 0..1."""
    pixels = spoil(pixels, generator, clean)
    count, side = len(pixels), pixels.shape[-1]
    light = torch.where(
        torch.rand(count, 1, 1, 1, generator=generator) < 0.5,
        _spots(count, side, generator),
        _smooth_field(count, side, generator),
    )
    floor = 0.25 + 0.65 * torch.rand(count, 1, 1, 1, generator=generator)
    gain = floor + (1 - floor) * light
    # what is taken away goes to black, now and then to some grey
    grey = torch.rand(count, 1, 1, 1, generator=generator)
    grey = torch.where(torch.rand(count, 1, 1, 1, generator=generator) < 0.25, grey, torch.zeros(()))
    touched = torch.rand(count, 1, 1, 1, generator=generator) < shaded
    return torch.where(touched, pixels * gain + grey * (1 - gain), pixels)


def _spots(count: int, side: int, generator: torch.Generator) -> Tensor:
    """One to three round or oval spots of light anywhere, 0..1: [B, 1, side, side]."""
    axis = (torch.arange(side) + 0.5) / side
    total = torch.zeros(count, side, side)
    for number in range(3):
        cy, cx, tall, wide, on = torch.rand(5, count, 1, 1, generator=generator)
        spread_y, spread_x = 0.08 + 0.35 * tall, 0.08 + 0.35 * wide
        spot = torch.exp(-(((axis[:, None] - cy) / spread_y) ** 2) - ((axis[None] - cx) / spread_x) ** 2)
        total = torch.maximum(total, spot * (on < (1.0, 0.5, 0.3)[number]))
    return total[:, None]


def _smooth_field(count: int, side: int, generator: torch.Generator) -> Tensor:
    """A field of light from a few random values, 0..1: [B, 1, side, side]."""
    field = F.interpolate(torch.rand(count, 1, 4, 4, generator=generator), size=(side, side), mode="bicubic")
    low, high = field.amin((2, 3), keepdim=True), field.amax((2, 3), keepdim=True)
    return (field - low) / (high - low + 1e-6)
