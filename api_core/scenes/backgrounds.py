"""Backgrounds of scenes: plain ones, patterns, rough imitations of photographs; muted, so that objects stand out.

Each is a function of (random numbers, rows [H, 1], columns [1, W]) that returns weights [H, W], about 0..1, which mix
two muted colours. Rows and columns are world units, so a background looks alike at every size.
"""

from __future__ import annotations

import colorsys
import functools
import math
from collections.abc import Callable

import numpy as np

from .world import Scene

_Ground = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]


def draw_background(scene: Scene, height: int, width: int) -> np.ndarray:
    """The scene's background [H, W, 3] float32, about 0..1 (noise may pass the ends a little)."""
    rng = np.random.Generator(np.random.SFC64([scene.ground_seed, 7]))
    first, second = _muted_pair(rng, scene)
    y = ((np.arange(height, dtype=np.float32) + 0.5) * np.float32(scene.height / height))[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) * np.float32(scene.width / width))[None]
    weight = np.asarray(_GROUNDS[scene.ground](rng, y, x), np.float32)
    if scene.ground != "plain" or rng.random() < 0.5:
        weight = weight + np.float32(rng.uniform(0.0, 0.22)) * (
            _cloud(rng, height, width, (5, 11, 23)) - np.float32(0.5)
        )
    picture = first + np.broadcast_to(weight, (height, width))[..., None] * (second - first)
    return np.ascontiguousarray(picture, np.float32)


def _muted_pair(rng: np.random.Generator, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Two colours of low saturation, far enough from every object that has little colour of its own."""
    first = _muted(rng)
    for _ in range(12):
        if all(
            abs(float(first.mean()) - sum(o.rgb) / 3) > 0.28 for o in scene.objects if o.colour in ("white", "black")
        ):
            break
        first = _muted(rng)
    contrast = rng.uniform(0.1, 1.0)
    return first, first + np.float32(0.55 * contrast) * (_muted(rng) - first)


def _muted(rng: np.random.Generator) -> np.ndarray:
    hue, saturation, value = rng.random(), rng.random() ** 1.5 * 0.42, rng.uniform(0.12, 1.0)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), np.float32)


@functools.lru_cache(maxsize=256)
def _upsampler(cells: int, length: int) -> np.ndarray:
    """[length, cells]: linear interpolation of `cells` values to `length` pixels."""
    position = (np.arange(length) + 0.5) / length * (cells - 1)
    left = np.minimum(position.astype(int), cells - 2)
    part = position - left
    matrix = np.zeros((length, cells), np.float32)
    matrix[np.arange(length), left] = 1 - part
    matrix[np.arange(length), left + 1] = part
    return matrix


def _cloud(rng: np.random.Generator, height: int, width: int, cells: tuple[int, ...]) -> np.ndarray:
    """Noise of several scales [H, W], about 0..1."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for count in cells:
        grid = rng.random((count, count), np.float32)
        total += np.float32(weight) * (_upsampler(count, height) @ grid @ _upsampler(count, width).T)
        weight *= 0.6
    return total / np.float32(sum(0.6**i for i in range(len(cells))))


def _direction(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    turn = rng.uniform(0, 2 * math.pi)
    return np.float32(math.cos(turn)) * x + np.float32(math.sin(turn)) * y


def _plain(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.zeros((1, 1), np.float32)


def _gradient(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    along = _direction(rng, y, x)
    return (along - along.min()) / (along.max() - along.min())


def _vignette(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    cy, cx = rng.uniform(0.3, 0.7, 2)
    return np.minimum(1, 1.4 * np.hypot(y - cy * y.max(), x - cx * x.max()))


def _stripes(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    wave = np.sin(_direction(rng, y, x) * np.float32(rng.uniform(12, 60)))
    return 0.5 + 0.5 * (np.sign(wave) if rng.random() < 0.5 else wave)


def _checker(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    step = np.float32(rng.uniform(0.07, 0.25))
    return ((np.floor(y / step) + np.floor(x / step)) % 2).astype(np.float32)


def _horizon(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    line = rng.uniform(0.3, 0.75) * y.max() + np.float32(rng.uniform(-0.1, 0.1)) * x
    ground = np.clip((y - line) * 60, 0, 1)
    return ground * (0.75 + 0.5 * (y - line)) + (1 - ground) * np.float32(rng.uniform(0, 0.3)) * (line - y)


def _clouds(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return 1.5 * _cloud(rng, y.shape[0], x.shape[1], (4, 8, 16, 32)) - 0.25


def _bokeh(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    weight = np.zeros((y.shape[0], x.shape[1]), np.float32)
    for _ in range(int(rng.integers(3, 9))):
        cy, cx, size, light = rng.random(4)
        spread = np.float32(0.03 + 0.14 * size)
        fy = np.exp(-(((y - np.float32(cy) * y.max()) / spread) ** 2))
        weight += np.float32(0.4 + 0.6 * light) * (fy * np.exp(-(((x - np.float32(cx) * x.max()) / spread) ** 2)))
    return np.minimum(weight, 1.2)


def _fabric(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    thread = np.float32(rng.uniform(70, 140))
    weave = 0.25 * np.sin(y * thread) + 0.25 * np.sin(x * thread) + 0.5
    return weave + np.float32(0.5) * (rng.random((y.shape[0], x.shape[1]), np.float32) - np.float32(0.5))


def _bricks(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    tall = np.float32(rng.uniform(0.06, 0.14))
    row = np.floor(y / tall)
    across = (x + (row % 2) * tall) / (2 * tall)
    mortar = (y / tall - row < 0.12) | (across - np.floor(across) < 0.06)
    shade = (np.sin(row * 12.9898 + np.floor(across) * 78.233) * 43758.547) % 1
    return np.where(mortar, np.float32(1.0), 0.35 * shade.astype(np.float32))


def _rays(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    cy, cx = rng.uniform(-0.2, 1.2, 2)
    return 0.5 + 0.5 * np.sin(np.arctan2(y - cy, x - cx) * float(rng.integers(6, 20)))


def _hills(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    weight = 0.3 * y / y.max() + 0 * x
    for level in (0.35, 0.55, 0.75):
        ridge = level * y.max() + 0.07 * np.sin(x * np.float32(rng.uniform(3, 11)) + np.float32(rng.uniform(0, 6)))
        weight = np.where(y > ridge, np.float32(level + 0.2), weight)
    return weight


def _marble(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    bend = _cloud(rng, y.shape[0], x.shape[1], (4, 7, 13))
    return np.abs(np.sin(_direction(rng, y, x) * np.float32(rng.uniform(5, 12)) + 8 * bend))


def _mosaic(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    cells = int(rng.integers(4, 11))
    tones = rng.random((cells, cells), np.float32)
    row = np.minimum((y / y.max() * cells).astype(int), cells - 1)
    column = np.minimum((x / x.max() * cells).astype(int), cells - 1)
    return tones[row, column]


_GROUNDS: dict[str, _Ground] = {
    ground.__name__.removeprefix("_"): ground
    for ground in (
        *(_plain, _gradient, _vignette, _stripes, _checker, _horizon, _clouds, _bokeh, _fabric),
        *(_bricks, _rays, _hills, _marble, _mosaic),
    )
}
