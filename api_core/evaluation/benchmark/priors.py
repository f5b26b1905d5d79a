"""Maps that were not asked anything, which a map has to beat: chance, the centre, and what stands out by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ...errors import InvalidInput
from ...geometry import place
from ...results import Box
from ...scenes.draw import blur

_WORKING_SIDE = 64


def spectral_residual(picture: np.ndarray) -> np.ndarray:
    """[H, W] of [H, W, 3]: the part of the log spectrum that its neighbourhood does not explain, brought back.

    Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007; at 64 pixels wide as there.
    """
    grey = _resized(picture.mean(-1, keepdims=True), _WORKING_SIDE)[..., 0]
    spectrum = np.fft.fft2(grey)
    amplitude = np.log(np.abs(spectrum) + 1e-8)
    local = sum(np.roll(amplitude, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9
    back = np.abs(np.fft.ifft2(np.exp(amplitude - local + 1j * np.angle(spectrum)))) ** 2
    return _back(blur(back[..., None].astype(np.float32), 2.5), picture)


def colour_contrast(picture: np.ndarray) -> np.ndarray:
    """[H, W] of [H, W, 3]: how far each pixel's colour lies from the picture's mean colour.

    After Achanta et al., "Frequency-tuned Salient Region Detection", CVPR 2009, in opponent colours instead of Lab.
    """
    small = _resized(picture, 2 * _WORKING_SIDE)
    red, green, blue = np.moveaxis(small, -1, 0)
    opponent = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], -1)
    distance = np.square(blur(opponent, 1.0) - opponent.mean((0, 1))).sum(-1, keepdims=True)
    return _back(np.sqrt(distance), picture)


SALIENCY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "saliency, spectral residual": spectral_residual,
    "saliency, colour contrast": colour_contrast,
}


def _resized(picture: np.ndarray, longest: int) -> np.ndarray:
    """The picture with its longer side at `longest` pixels, if it is larger."""
    height, width = picture.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    grid = torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, -1, 0), np.float32))
    return np.moveaxis(place(grid, Box(0, 0, size[1], size[0]), size, "bilinear").numpy(), 0, -1)


def _back(heat: np.ndarray, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    grid = torch.from_numpy(np.ascontiguousarray(heat[..., 0], np.float32))
    return place(grid, Box(0, 0, width, height), (height, width), "bilinear").numpy()


def prior_map(kind: str, size: tuple[int, int], box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A map that has not looked at the picture.

    "constant" (chance: every score is what a blind guess can expect), "centre", "random" noise, or "random box" of the
    wanted box's size.
    """
    height, width = size
    if kind == "constant":
        return np.ones(size, np.float32)
    if kind == "random":
        return rng.random(size, np.float32)
    if kind == "centre":
        y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
        return -np.hypot(y[:, None], x[None])
    if kind == "random box":
        tall, wide = max(1, int(box[3] - box[1])), max(1, int(box[2] - box[0]))
        top, left = int(rng.integers(max(1, height - tall + 1))), int(rng.integers(max(1, width - wide + 1)))
        heat = np.zeros(size, np.float32)
        heat[top : top + tall, left : left + wide] = 1
        return heat
    raise InvalidInput(f"There is no prior {kind!r}. Choose constant, centre, random, random box.")
