"""Pillow's resampling kernels: each a support, in source pixels, and a function of the distance to the centre."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .choices import INTERPOLATIONS
from .errors import InvalidInput


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).to(x.dtype)


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _hamming(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1, torch.sinc(x) * (0.54 + 0.46 * torch.cos(math.pi * x)), 0.0)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where((x >= -3) & (x < 3), torch.sinc(x) * torch.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[float, Callable[[Tensor], Tensor]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _triangle),
    "hamming": (1.0, _hamming),
    "bicubic": (2.0, _cubic),
    "lanczos": (3.0, _lanczos),
}


def interpolation_name(interpolation: str) -> str:
    """The lower-case name of one of Pillow's filters, given in any case; "box" is understood beside INTERPOLATIONS."""
    name = str(interpolation).strip().lower()
    if name != "nearest" and name not in KERNELS:
        raise InvalidInput(
            f"There is no interpolation {interpolation!r}. Choose one of {', '.join(INTERPOLATIONS)}, box."
        )
    return name
