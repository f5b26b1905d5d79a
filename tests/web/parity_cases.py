"""Random heatmaps and settings of Smooth & Enhance Mask, reaching every branch of both readings."""

import random
from dataclasses import dataclass
from typing import Any

import torch
from pack.api_core.choices import INTERPOLATIONS
from pack.api_core.geometry import seen_cells, windows
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View
from pack.tests.promised import inputs, some_value

MOST_CELLS = 24
LABELS = ("where is the red star", "where", "red", "star", "Straße")


@dataclass(frozen=True)
class Case:
    heatmap: Heatmap
    settings: dict[str, Any]
    """As `tune` takes them."""


def random_cases(count: int, seed: int) -> list[Case]:
    chance = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    return [_case(chance, generator) for _ in range(count)]


def _case(chance: random.Random, generator: torch.Generator) -> Case:
    reading = chance.choice(["precise", "precise", "upstream"])
    size = chance.choice([(1, 1), (7, 130), (64, 64), (200, 96)]) if chance.random() < 0.3 else _size(chance)
    if reading == "upstream":  # smaller than its grid it is shrunk, which Pillow's versions do in different orders
        size = max(size[0], MOST_CELLS), max(size[1], MOST_CELLS)
    labels = _labels(chance)
    boxes = _boxes(chance, size) if reading == "precise" else [_whole(size)]
    names = chance.choice([("class_token", "patch"), ("attention",)])
    grids = [(chance.randint(2, MOST_CELLS), chance.randint(2, MOST_CELLS)) for _ in boxes]
    signed = reading == "precise" and chance.random() < 0.2
    kind = chance.choice(["uniform", "normal", "outlier", "steps", "constant label", "constant"])
    parts = {
        name: tuple(
            View(_values(len(labels), grid, kind, generator), box, _seen(size, box, grid, chance))
            for box, grid in zip(boxes, grids, strict=True)
        )
        for name in names
    }
    settings = _settings(chance, reading, labels)
    presence = tuple(chance.uniform(-5, 15) for _ in labels)
    picture = PictureMap(size, labels, parts, "method", "model", 1, reading, signed, presence=presence)
    return Case(Heatmap((picture,)), settings)


def _size(chance: random.Random) -> tuple[int, int]:
    return chance.randint(3, 180), chance.randint(3, 180)


def _whole(size: tuple[int, int]) -> Box:
    return Box(0, 0, size[1], size[0])


def _labels(chance: random.Random) -> tuple[Label, ...]:
    words = tuple(Label(text, "query word") for text in LABELS[1 : chance.randint(1, len(LABELS))])
    return (Label(LABELS[0], "whole"), *words) if chance.random() < 0.8 or not words else words


def _boxes(chance: random.Random, size: tuple[int, int]) -> list[Box]:
    """One look or several, whole, cropped, padded, as tiles with a thumbnail, or leaving part of the picture out."""
    height, width = size
    fit = chance.choice(["stretch", "letterbox", "crops", "center", "tiles", "loose"])
    if fit == "tiles":
        rows, columns = chance.randint(1, 3), chance.randint(1, 3)
        tall, wide = height / rows, width / columns
        tiles = [Box(x * wide, y * tall, (x + 1) * wide, (y + 1) * tall) for y in range(rows) for x in range(columns)]
        return [_whole(size), *tiles]
    if fit == "loose":
        inner = Box(width * 0.1, height * 0.2, width * 0.55, height * 0.7)
        return [inner, Box(width * 0.4, -height * 0.1, width * 1.2, height * 0.5)]
    return list(windows(size, fit, chance.choice([24, 48])))


def _seen(size: tuple[int, int], box: Box, grid: tuple[int, int], chance: random.Random) -> torch.Tensor:
    seen = seen_cells(size, box, grid)
    if not bool(seen.any()):
        seen[:] = True
    if chance.random() < 0.15 and int(seen.sum()) > 4:  # a hole, as a model's masked patches leave
        rows, columns = seen.nonzero()[int(seen.sum()) // 2]
        seen[rows, columns] = False
    return seen


def _values(count: int, grid: tuple[int, int], kind: str, generator: torch.Generator) -> torch.Tensor:
    shape = (count, *grid)
    if kind == "uniform":
        return torch.rand(shape, generator=generator)
    values = torch.randn(shape, generator=generator)
    if kind == "outlier":
        values[:, 0, -1] += 40
        return values * 1e-3
    if kind == "steps":
        return values.mul(2).round()
    if kind == "constant label":
        values[-1] = 0.25
    if kind == "constant":
        values[:] = 3.0
    return values


def _settings(chance: random.Random, reading: str, labels: tuple[Label, ...]) -> dict[str, Any]:
    unit = chance.choice(["patches", "patches", "pixels"]) if reading == "precise" else "patches"
    smoothing = chance.choice([1, 1, 3, 5, 9, 25]) if reading == "upstream" else chance.choice([1, 2, 3, 4, 7, 16, 99])
    sometimes = lambda value, otherwise: value if chance.random() < 0.35 else otherwise  # noqa: E731
    words = tuple(label.text.upper() for label in chance.sample(labels, chance.randint(1, len(labels))))
    if {"red", "star"} <= {label.text for label in labels}:
        words = sometimes(("red star", *words), words)
    settings = {
        "contrast": chance.choice([0.0, 0.5, 1.0, 3.0, 10.0, 50.0]),
        "smoothing": smoothing,
        "interpolation": chance.choice(INTERPOLATIONS),
        "words": sometimes(words, ()),
        "threshold": sometimes(round(chance.uniform(0.02, 0.98), 2), 0.0),
        "grow": sometimes(chance.choice([-40, -3, -1, 1, 2, 5, 17, 300]), 0),
        "feather": sometimes(chance.choice([1.0, 2.5, 6.0, 31.0, 200.0]), 0.0),
        "invert": chance.random() < 0.3,
        "smoothing_unit": unit,
    }
    widgets = {name: given for name, given in inputs("AttnPromptTuneMask").items() if "default" in given}
    for name in sorted(widgets.keys() - settings.keys()):
        settings[name] = sometimes(some_value(widgets[name], chance), widgets[name]["default"])
    return settings
