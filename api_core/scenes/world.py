"""What a scene is: coloured shapes on a background, described in numbers, and how one is drawn by lot.

Coordinates are world units: x to the right, y downwards, origin in the top left corner, the picture's area is 1
(width = sqrt(aspect), height = 1 / sqrt(aspect)), so that a radius means the same share of any picture. A scene is
drawn at any size in pixels; a size whose aspect differs from the scene's stretches it.

Randomness comes from seed streams: a stream ("train", "development", "test") and a number name a scene for good, and
the streams never meet. The stream "test" also has backgrounds of its own.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput, quoted

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "white", "black")
FINISHES = ("flat", "shaded", "glossy", "striped", "dotted", "grainy")
STREAMS = ("train", "development", "test")
TRAINING_GROUNDS = ("plain", "gradient", "vignette", "stripes", "checker", "horizon", "clouds", "bokeh", "fabric")
TEST_GROUNDS = ("bricks", "rays", "hills", "marble", "mosaic")
ASPECTS = (1.0, 4 / 3, 3 / 4, 3 / 2, 2 / 3, 1.6, 1 / 1.6)

# hue in degrees, saturation, value: the ranges people call by that name (CSS brown, nearly red, lies outside)
_HSV = {
    "red": ((-13, 7), (0.75, 1.0), (0.68, 1.0)),
    "green": ((92, 155), (0.5, 1.0), (0.42, 1.0)),
    "blue": ((205, 245), (0.6, 1.0), (0.5, 1.0)),
    "yellow": ((48, 63), (0.7, 1.0), (0.85, 1.0)),
    "orange": ((20, 39.5), (0.8, 1.0), (0.88, 1.0)),
    "purple": ((264, 300), (0.5, 1.0), (0.42, 0.85)),
    "pink": ((318, 351), (0.24, 0.62), (0.9, 1.0)),
    "brown": ((14, 33), (0.55, 0.88), (0.3, 0.63)),
    "white": ((0, 360), (0.0, 0.06), (0.92, 1.0)),
    "black": ((0, 360), (0.0, 0.5), (0.0, 0.11)),
}


@dataclass(frozen=True)
class SceneObject:
    """One coloured shape. `radius`: half its size in world units; `rotation`: radians; `form` varies the outline."""

    shape: str
    colour: str
    rgb: tuple[float, float, float]
    x: float
    y: float
    radius: float
    rotation: float
    squeeze: float
    form: tuple[float, float]
    finish: str
    outline: float
    outline_rgb: tuple[float, float, float]

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """All that decides a picture: draw it twice at one size and every pixel is the same."""

    stream: str
    number: int
    aspect: float
    ground: str
    ground_seed: int
    objects: tuple[SceneObject, ...]
    clutter: int
    shadow: float
    blur: float
    noise: float

    @property
    def width(self) -> float:
        return math.sqrt(self.aspect)

    @property
    def height(self) -> float:
        return 1 / math.sqrt(self.aspect)


@dataclass(frozen=True)
class SceneOptions:
    """What `make_scene` may draw. The defaults are the training world; a benchmark narrows them.

    `alike` is the chance that a further object shares its colour or its shape with an earlier one (telling them apart
    is then a matter of both words). `overlap` is the chance that objects of a scene may cover each other in part.
    `spoil` is the chance of blur, and that of noise, whose standard deviation lies in `noise`.
    """

    objects: tuple[int, int] = (1, 6)
    colours: tuple[str, ...] = COLOURS
    shapes: tuple[str, ...] = SHAPES
    radius: tuple[float, float] = (0.055, 0.2)
    aspects: tuple[float, ...] = ASPECTS
    square_share: float = 0.5
    grounds: tuple[str, ...] | None = None
    alike: float = 0.5
    overlap: float = 0.3
    clutter: int = 6
    spoil: float = 0.25
    noise: tuple[float, float] = (0.01, 0.07)


def stream_generator(stream: str, number: int, purpose: int = 0) -> np.random.Generator:
    """The random numbers of one scene: `stream` and `number` name it, `purpose` separates independent draws."""
    if stream not in STREAMS:
        raise InvalidInput(f"Unknown stream of scenes {quoted(stream)}; use one of {', '.join(STREAMS)}.")
    if number < 0:
        raise InvalidInput(f"A scene's number counts from 0, {number} was given.")
    return np.random.Generator(np.random.SFC64([STREAMS.index(stream), number, purpose, 20409]))


def make_scene(number: int, stream: str = "train", options: SceneOptions = SceneOptions()) -> Scene:
    """Draw scene `number` of `stream` by lot. The same arguments give the same scene."""
    rng = stream_generator(stream, number)
    aspect = 1.0 if rng.random() < options.square_share else options.aspects[int(rng.integers(len(options.aspects)))]
    grounds = options.grounds or (TEST_GROUNDS if stream == "test" else TRAINING_GROUNDS)
    low, high = options.objects
    wanted = int(rng.integers(low, high + 1))
    spoiled = rng.random(2) < options.spoil
    return Scene(
        stream=stream,
        number=number,
        aspect=aspect,
        ground=grounds[int(rng.integers(len(grounds)))],
        ground_seed=int(rng.integers(2**31)),
        objects=_place_objects(rng, wanted, math.sqrt(aspect), 1 / math.sqrt(aspect), options),
        clutter=int(rng.integers(options.clutter + 1)) if options.clutter and rng.random() < 0.6 else 0,
        shadow=float(rng.uniform(0.15, 0.5)) if rng.random() < 0.3 else 0.0,
        blur=float(rng.uniform(0.002, 0.009)) if spoiled[0] else 0.0,
        noise=float(rng.uniform(*options.noise)) if spoiled[1] else 0.0,
    )


def colour_sample(rng: np.random.Generator, colour: str) -> tuple[float, float, float]:
    """An RGB value (0..1) people would call `colour`."""
    (h0, h1), (s0, s1), (v0, v1) = _HSV[colour]
    a, b, c = rng.random(3)
    return colorsys.hsv_to_rgb((h0 + (h1 - h0) * a) % 360 / 360, s0 + (s1 - s0) * b, v0 + (v1 - v0) * c)


def _place_objects(
    rng: np.random.Generator, wanted: int, width: float, height: float, options: SceneOptions
) -> tuple[SceneObject, ...]:
    overlapping = rng.random() < options.overlap
    placed: list[SceneObject] = []
    largest = min(width, height) / 2  # of what lies within a narrow picture
    low, high = (math.log(min(r, largest)) for r in options.radius)
    for _ in range(wanted):
        colour, shape = _kind(rng, placed, options)
        for _attempt in range(40):
            # crowded scenes need smaller objects: the range shrinks with every failed attempt
            radius = math.exp(rng.uniform(low, low + (high - low) * (1 - _attempt / 50)))
            x, y = rng.uniform(radius, width - radius), rng.uniform(radius, height - radius)
            if all(
                math.hypot(x - o.x, y - o.y)
                > (1.1 * max(radius, o.radius) if overlapping else 1.12 * (radius + o.radius))
                for o in placed
            ):
                break
        else:
            if len(placed) >= options.objects[0]:
                break
            continue
        placed.append(_object(rng, colour, shape, x, y, radius))
    return tuple(placed)


def _kind(rng: np.random.Generator, placed: list[SceneObject], options: SceneOptions) -> tuple[str, str]:
    colour = options.colours[int(rng.integers(len(options.colours)))]
    shape = options.shapes[int(rng.integers(len(options.shapes)))]
    if placed and rng.random() < options.alike:
        other = placed[int(rng.integers(len(placed)))]
        if rng.random() < 0.5:
            colour = other.colour
        else:
            shape = other.shape
    return colour, shape


def _object(rng: np.random.Generator, colour: str, shape: str, x: float, y: float, radius: float) -> SceneObject:
    rgb = colour_sample(rng, colour)
    turned = 0.4 if shape != "square" else 0.3
    draws = rng.random(6)
    dark = sum(rgb) / 3 > 0.45
    edge = draws[0] * 0.25 if dark else 1 - draws[0] * 0.3
    return SceneObject(
        shape=shape,
        colour=colour,
        rgb=rgb,
        x=float(x),
        y=float(y),
        radius=float(radius),
        rotation=float(rng.uniform(-turned, turned)) if draws[1] < 0.75 else 0.0,
        squeeze=float(math.exp(rng.uniform(-0.24, 0.24))) if draws[2] < 0.6 else 1.0,
        form=(float(draws[3]), float(draws[4])),
        finish=FINISHES[int(rng.integers(len(FINISHES)))],
        outline=float(rng.uniform(0.06, 0.16)) if draws[5] < 0.22 else 0.0,
        outline_rgb=(edge, edge, edge),
    )
