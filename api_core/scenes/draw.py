"""Scenes to pictures: signed distances, evaluated only in the window of each object.

A picture is [H, W, 3] float32, 0..1; masks are [N, H, W] float32, 0..1, the share of each pixel in which object n is
seen (what a later object covers is not counted). Everything is NumPy: about a millisecond for a 112-pixel scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .backgrounds import draw_background
from .world import Scene, SceneObject, stream_generator


@dataclass(frozen=True, eq=False)
class DrawnScene:
    """`picture` [H, W, 3], `masks` [N, H, W] as said above; `boxes` [N, 4] of what is seen (see `boxes_of`)."""

    scene: Scene
    picture: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray


def draw_scene(scene: Scene, height: int, width: int) -> DrawnScene:
    """Draw `scene` at `height` x `width` pixels."""
    canvas = draw_background(scene, height, width)
    masks = np.zeros((len(scene.objects), height, width), np.float32)
    rng = stream_generator(scene.stream, scene.number, purpose=2)
    _draw_clutter(canvas, scene, rng)
    for index, item in enumerate(scene.objects):
        texture_seed = rng.random(4)
        if scene.shadow:
            _draw_shadow(canvas, scene, item)
        place = _window(item, scene, height, width, margin=1.0)
        if place is None:
            continue
        cover = np.clip(0.5 - place.distance, 0, 1)
        paint = _paint(item, place, texture_seed, item.radius * min(height / scene.height, width / scene.width))
        patch = canvas[place.pixels]
        patch += cover[..., None] * (paint - patch)
        for hidden in masks[:index]:
            hidden[place.pixels] *= 1 - cover
        masks[index][place.pixels] = cover
    if scene.blur:
        canvas = blur(canvas, scene.blur * math.sqrt(height * width))
    if scene.noise:
        canvas = canvas + rng.standard_normal(canvas.shape, np.float32) * np.float32(scene.noise)
    picture = np.clip(canvas, 0, 1).astype(np.float32)
    return DrawnScene(scene, picture, masks, boxes_of(masks))


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """[N, 4] float32 boxes (left, top, right, bottom) in pixels around the pixels half seen or more; zeros if none."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for index, mask in enumerate(masks):
        seen = mask > 0.5
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        if len(rows):
            boxes[index] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of [H, W, C] with `sigma` in pixels, edges repeated."""
    reach = max(1, math.ceil(2.5 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(picture, pad, mode="edge")
        length = picture.shape[axis]
        picture = sum(k * padded.take(range(i, i + length), axis) for i, k in enumerate(kernel))  # type: ignore[assignment]
    return picture


@dataclass(frozen=True, eq=False)
class _Window:
    """Part of the canvas; there, the signed distance to an object in pixels (negative inside) and local coordinates."""

    pixels: tuple[slice, slice]
    distance: np.ndarray
    u: np.ndarray
    v: np.ndarray


def _window(
    item: SceneObject, scene: Scene, height: int, width: int, margin: float, shift: float = 0.0
) -> _Window | None:
    """The canvas around an object moved by `shift` (world units, right and down); None if that lies outside."""
    per_x, per_y = width / scene.width, height / scene.height
    cx, cy = (item.x + shift) * per_x, (item.y + shift) * per_y
    reach_x, reach_y = 1.3 * item.radius * per_x + margin, 1.3 * item.radius * per_y + margin
    x0, x1 = max(0, int(cx - reach_x)), min(width, int(cx + reach_x) + 2)
    y0, y1 = max(0, int(cy - reach_y)), min(height, int(cy + reach_y) + 2)
    if x0 >= x1 or y0 >= y1:
        return None
    x = (np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - cx)) / np.float32(per_x * item.radius)
    y = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - cy)) / np.float32(per_y * item.radius)
    cos, sin = math.cos(item.rotation), math.sin(item.rotation)
    stretch = np.float32(math.sqrt(item.squeeze))
    u = (np.float32(cos) * x[None] + np.float32(sin) * y[:, None]) / stretch
    v = (np.float32(-sin) * x[None] + np.float32(cos) * y[:, None]) * stretch
    distance = shape_distance(item.shape, u, v, item.form) * np.float32(item.radius * math.sqrt(per_x * per_y))
    return _Window((slice(y0, y1), slice(x0, x1)), distance, u, v)


def shape_distance(shape: str, u: np.ndarray, v: np.ndarray, form: tuple[float, float]) -> np.ndarray:
    """Signed distance (negative inside) of local points (u right, v down) to a shape of about unit radius.

    `form` (two numbers 0..1) varies the outline: corner radius, arm width, depth of the notches, points of the star.
    """
    a, b = form
    if shape == "circle":
        return np.sqrt(u * u + v * v) - np.float32(0.92)
    if shape == "square":
        corner = np.float32(0.22 * a if b < 0.3 else 0.0)
        return np.maximum(np.abs(u), np.abs(v)) - np.float32(0.82) if not corner else _rounded_square(u, v, corner)
    if shape == "triangle":
        if b < 0.2:  # right-angled
            return np.maximum(np.maximum(-u - 0.75, v - 0.75), (u - v) * 0.7071 - 0.0)
        half, slope = np.float32(0.72 + 0.25 * a), np.float32(1.62)
        edge = (np.abs(u) * slope - (v + np.float32(0.9)) * half) / np.hypot(slope, half)
        return np.maximum(edge, v - np.float32(0.72))
    if shape == "star":
        return _star(u, v, points=5 if b < 0.8 else (4 if b < 0.86 else 6), inner=0.4 + 0.14 * a)
    if shape == "cross":
        arm, reach = np.float32(0.22 + 0.14 * a), np.float32(0.95)
        p, q = np.abs(u), np.abs(v)
        return np.minimum(np.maximum(p - arm, q - reach), np.maximum(p - reach, q - arm))
    return _heart(u, v, a, b)


def _rounded_square(u: np.ndarray, v: np.ndarray, corner: np.float32) -> np.ndarray:
    p, q = np.abs(u) - np.float32(0.84) + corner, np.abs(v) - np.float32(0.84) + corner
    return np.sqrt(np.maximum(p, 0) ** 2 + np.maximum(q, 0) ** 2) + np.minimum(np.maximum(p, q), 0) - corner


def _star(u: np.ndarray, v: np.ndarray, points: int, inner: float) -> np.ndarray:
    sector = math.pi / points
    angle = np.arctan2(u, -v)
    angle = np.abs(angle - 2 * sector * np.round(angle / (2 * sector)))
    radius = np.sqrt(u * u + v * v)
    # the edge from the tip (1, 0) to the notch, in the folded sector
    nx, ny = inner * math.cos(sector) - 1, inner * math.sin(sector)
    length = math.hypot(nx, ny)
    p, q = radius * np.cos(angle) - 1, radius * np.sin(angle)
    return ((p * ny - q * nx) / length).astype(np.float32)


def _heart(u: np.ndarray, v: np.ndarray, a: float, b: float) -> np.ndarray:
    p = np.abs(u)
    if b < 0.5:  # two half discs on a square that stands on its corner
        x, y = p * np.float32(0.58 + 0.09 * a), np.float32(0.56) - np.float32(0.62) * v
        discs = np.hypot(x - np.float32(0.25), y - np.float32(0.75)) - np.float32(0.3536)
        along = np.maximum(x + y, 0) / 2
        edge = np.minimum(np.hypot(x, y - 1), np.hypot(x - along, y - along)) * np.sign(x - y)
        return np.where(x + y > 1, discs, edge) / np.float32(0.62)
    lift = np.float32(0.55 + 0.2 * a)
    return np.sqrt(u * u + (v + np.float32(0.12) + lift * (np.sqrt(p) - np.float32(0.4))) ** 2) - np.float32(0.84)


def _paint(item: SceneObject, place: _Window, seed: np.ndarray, pixels: float) -> np.ndarray:
    """The object's own colour at every pixel of its window [h, w, 3]; `pixels` is its radius in pixels."""
    u, v = place.u, place.v
    base = np.array(item.rgb, np.float32)
    turn = 2 * math.pi * float(seed[0])
    along = np.float32(math.cos(turn)) * u + np.float32(math.sin(turn)) * v
    strength = np.float32(0.08 + 0.16 * seed[1])
    if item.finish == "shaded":
        light = 1 + strength * along
    elif item.finish == "glossy":
        spot = np.exp(-3.5 * ((u + 0.3) ** 2 + (v + 0.35) ** 2))
        light = 0.92 + 2 * strength * spot
    elif item.finish == "striped":
        light = 1 + strength * np.sign(np.sin(along * np.float32(5 + 9 * seed[2])))
    elif item.finish == "dotted":
        step = np.float32(6 + 6 * seed[2])
        light = 1 - 1.3 * strength * ((np.sin(u * step) * np.sin(v * step)) > 0.45)
    elif item.finish == "grainy":
        grain = np.random.Generator(np.random.SFC64(int(seed[3] * 2**32))).random(u.shape, np.float32)
        light = 1 + strength * (grain - np.float32(0.5)) * 2
    else:
        light = np.ones_like(u)
    paint = np.clip(base * light[..., None].astype(np.float32), 0, 1)
    if not item.outline:
        return paint
    edge = np.clip(place.distance + np.float32(max(1.0, item.outline * pixels) + 0.5), 0, 1)[..., None]
    return paint + edge * (np.array(item.outline_rgb, np.float32) - paint)


def _draw_shadow(canvas: np.ndarray, scene: Scene, item: SceneObject) -> None:
    height, width = canvas.shape[:2]
    offset = 0.22 * item.radius
    soft = 0.25 * item.radius * min(height / scene.height, width / scene.width) + 1
    place = _window(item, scene, height, width, margin=soft, shift=offset)
    if place is not None:
        shade = np.float32(scene.shadow) * np.clip(0.5 - place.distance / np.float32(soft), 0, 1)
        canvas[place.pixels] *= 1 - shade[..., None]


def _draw_clutter(canvas: np.ndarray, scene: Scene, rng: np.random.Generator) -> None:
    """Thin rods and arcs of any colour: things in the picture that no caption speaks of."""
    height, width = canvas.shape[:2]
    unit = math.sqrt(height * width)
    for _ in range(scene.clutter):
        x, y, turn, length, kind, alpha = rng.random(6)
        rgb = rng.random(3).astype(np.float32)
        reach = (0.05 + 0.12 * length) * unit
        cx, cy = x * width, y * height
        x0, x1 = max(0, int(cx - reach)), min(width, int(cx + reach) + 2)
        y0, y1 = max(0, int(cy - reach)), min(height, int(cy + reach) + 2)
        u = (np.arange(x0, x1, dtype=np.float32) - np.float32(cx))[None]
        v = (np.arange(y0, y1, dtype=np.float32) - np.float32(cy))[:, None]
        cos, sin = np.float32(math.cos(turn * math.pi)), np.float32(math.sin(turn * math.pi))
        along, across = cos * u + sin * v, cos * v - sin * u
        if kind < 0.6:
            distance = np.maximum(np.abs(along) - np.float32(reach * 0.95), np.abs(across) - np.float32(0.008 * unit))
        else:
            ring = np.abs(np.sqrt(u * u + v * v) - np.float32(reach * 0.85)) - np.float32(0.006 * unit)
            distance = np.maximum(ring, across)
        cover = np.clip(0.5 - distance, 0, 1)[..., None] * np.float32(0.35 + 0.6 * alpha)
        patch = canvas[y0:y1, x0:x1]
        patch += cover * (rgb - patch)
