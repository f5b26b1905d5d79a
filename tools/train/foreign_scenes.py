"""A second drawing routine, for tests only: the same things drawn by other means.

Pillow's polygons at 300 to 800 pixels, colours by their CSS names, other outlines and proportions, other grounds;
no code, number or random stream is shared with `api_core.scenes`. A model trained on those that is at home here knows
shapes and colours, and not one routine's way of drawing them.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

_CSS = {
    "red": ("red", "crimson", "firebrick"),
    "green": ("green", "limegreen", "forestgreen"),
    "blue": ("blue", "royalblue", "mediumblue"),
    "yellow": ("yellow", "gold"),
    "orange": ("orange", "darkorange"),
    "purple": ("purple", "darkviolet", "rebeccapurple"),
    "pink": ("hotpink", "pink", "lightpink"),
    "brown": ("saddlebrown", "sienna"),
    "white": ("white", "snow"),
    "black": ("black", "#101010"),
}
_SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
_PAPERS = ("beige", "lightgray", "gray", "slategray", "lavender", "honeydew", "dimgray", "tan", "lightsteelblue")


@dataclass(frozen=True, eq=False)
class ForeignScene:
    """`picture` [H, W, 3] float32 0..1; of each object (colour, shape), and its box (left, top, right, bottom)."""

    picture: np.ndarray
    names: tuple[tuple[str, str], ...]
    boxes: np.ndarray


def draw_foreign_scene(number: int, objects: tuple[int, int] = (3, 5)) -> ForeignScene:
    """Scene `number` of the second routine, with as many objects as `objects` allows and room permits."""
    lot = random.Random(f"foreign {number}")
    width, height = lot.randint(300, 800), lot.randint(300, 800)
    while max(width, height) > 1.7 * min(width, height):
        width, height = lot.randint(300, 800), lot.randint(300, 800)
    paper = ImageColor.getrgb(lot.choice(_PAPERS))
    image = _paper(lot, width, height, paper)
    colours: list[str] = []
    shapes: list[str] = []
    boxes: list[tuple[float, ...]] = []
    for _ in range(lot.randint(*objects)):
        colour, shape = lot.choice([*_CSS]), lot.choice(_SHAPES)
        if shapes and lot.random() < 0.45:
            colour, shape = (lot.choice(colours), shape) if lot.random() < 0.5 else (colour, lot.choice(shapes))
        rgb = ImageColor.getrgb(lot.choice(_CSS[colour]))
        if sum(abs(a - b) for a, b in zip(rgb, paper, strict=True)) < 120:
            continue
        box = _room(lot, width, height, boxes)
        if box is None:
            continue
        outline = _corners(lot, shape, box)
        _fill(lot, image, outline, rgb)
        xs, ys = zip(*outline, strict=True)
        colours.append(colour)
        shapes.append(shape)
        boxes.append((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    if lot.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(lot.uniform(0.5, 2.5)))
    picture = np.asarray(image, np.float32) / 255
    return ForeignScene(picture, tuple(zip(colours, shapes, strict=True)), np.array(boxes, np.float32).reshape(-1, 4))


def _paper(lot: random.Random, width: int, height: int, colour: tuple[int, ...]) -> Image.Image:
    image = Image.new("RGB", (width, height), colour)
    pen = ImageDraw.Draw(image)
    darker = tuple(int(0.85 * c) for c in colour)
    kind = lot.choice(("bare", "ruled", "squared", "sprinkled", "two"))
    step = lot.randint(18, 48)
    if kind in ("ruled", "squared"):
        for y in range(0, height, step):
            pen.line((0, y, width, y), fill=darker, width=2)
    if kind == "squared":
        for x in range(0, width, step):
            pen.line((x, 0, x, height), fill=darker, width=2)
    if kind == "sprinkled":
        for _ in range(300):
            x, y = lot.randrange(width), lot.randrange(height)
            pen.rectangle((x, y, x + 3, y + 3), fill=darker)
    if kind == "two":
        pen.polygon(
            [(0, height), (width, height), (width, lot.randint(0, height)), (0, lot.randint(0, height))], darker
        )
    return image


def _room(lot: random.Random, width: int, height: int, taken: list[tuple[float, ...]]) -> tuple[float, ...] | None:
    """A free rectangle, 11 to 32 % of the shorter side wide and at most 1.3 times as long as broad."""
    for _ in range(60):
        size = lot.uniform(0.11, 0.32) * min(width, height)
        w, h = (size, size * lot.uniform(1, 1.3)) if lot.random() < 0.5 else (size * lot.uniform(1, 1.3), size)
        x, y = lot.uniform(4, width - w - 4), lot.uniform(4, height - h - 4)
        if all(x > b[2] + 6 or x + w < b[0] - 6 or y > b[3] + 6 or y + h < b[1] - 6 for b in taken):
            return x, y, x + w, y + h
    return None


def _corners(lot: random.Random, shape: str, box: tuple[float, ...]) -> list[tuple[float, float]]:
    """The outline inside the box, as a polygon; some are turned a little first."""
    if shape == "circle":
        points = [(math.cos(t / 60 * math.tau), math.sin(t / 60 * math.tau)) for t in range(60)]
    elif shape == "square":
        points = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
    elif shape == "triangle":
        points = [(0.0, -1.0), (1.0, 0.9), (-1.0, 0.9)]
    elif shape == "star":
        deep = lot.uniform(0.38, 0.5)
        points = [
            (
                (1 if k % 2 == 0 else deep) * math.sin(k * math.pi / 5),
                -(1 if k % 2 == 0 else deep) * math.cos(k * math.pi / 5),
            )
            for k in range(10)
        ]
    elif shape == "cross":
        arm = lot.uniform(0.26, 0.38)
        quarter = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
        points = []
        for _ in range(4):
            points += quarter
            quarter = [(-y, x) for x, y in quarter]
    else:
        points = [
            (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
            for t in (k / 80 * math.tau for k in range(80))
        ]
    turn = lot.uniform(-0.3, 0.3) if lot.random() < 0.5 else 0.0
    points = [(x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)) for x, y in points]
    (left, right), (top, bottom) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    return [
        (
            box[0] + (x - left) / (right - left) * (box[2] - box[0]),
            box[1] + (y - top) / (bottom - top) * (box[3] - box[1]),
        )
        for x, y in points
    ]


def _fill(lot: random.Random, image: Image.Image, outline: list[tuple[float, float]], rgb: tuple[int, ...]) -> None:
    pen = ImageDraw.Draw(image)
    manner = lot.choice(("flat", "flat", "bordered", "banded"))
    pen.polygon(outline, fill=rgb)
    if manner == "bordered":
        dark = sum(rgb) < 300
        pen.line([*outline, outline[0]], fill=(235, 235, 235) if dark else (30, 30, 30), width=lot.randint(2, 5))
    if manner == "banded":
        mask = Image.new("L", image.size)
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        bands = image.copy()
        brush = ImageDraw.Draw(bands)
        other = tuple(min(255, int(0.8 * c) + (25 if sum(rgb) < 300 else 0)) for c in rgb)
        for y in range(int(min(p[1] for p in outline)), int(max(p[1] for p in outline)), 14):
            brush.rectangle((0, y, image.width, y + 6), fill=other)
        image.paste(bands, mask=mask)
