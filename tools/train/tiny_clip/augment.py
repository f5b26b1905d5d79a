"""What happens to a training picture besides its drawing: light, contrast, tint, blur, noise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def spoil(pixels: Tensor, generator: torch.Generator, clean: float = 0.3) -> Tensor:
    """Random changes of pixels [B, 3, h, w] (0..1), each picture its own; a share `clean` of them is left alone."""
    count = len(pixels)

    def draw(low: float, high: float, chance: float, neutral: float) -> Tensor:
        value = low + (high - low) * torch.rand(count, generator=generator)
        on = torch.rand(count, generator=generator) < chance
        return torch.where(on & touched, value, torch.full_like(value, neutral))[:, None, None, None]

    touched = torch.rand(count, generator=generator) >= clean
    mean = pixels.mean((1, 2, 3), keepdim=True)
    out = (pixels - mean) * draw(0.5, 1.5, 0.5, 1.0) + mean
    out = out * draw(0.5, 1.5, 0.5, 1.0)
    tint = 1 + draw(0.0, 0.12, 0.4, 0.0) * (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1)
    out = (out * tint).clamp(0, 1)
    for _ in range(2):
        out = out + draw(0.1, 1.0, 0.2, 0.0) * (_soften(out) - out)
    out = out + draw(0.01, 0.1, 0.3, 0.0) * torch.randn(out.shape, generator=generator)
    return out.clamp(0, 1)


def _soften(pixels: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = (kernel[:, None] * kernel).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
