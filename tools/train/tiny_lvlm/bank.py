"""A bank of drawn scenes in pairs: each second picture is the first with one thing changed (a counterfactual).

`pictures` [n, 112, 112, 3] uint8; `cover` [n, 5, 14, 14] uint8 (share of each patch showing object k, 255 = all);
`kinds` [n, 5, 2] int8 (colour, shape; -1 where there is no object); `boxes` [n, 5, 4] float32 (pixels of 112).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from api_core.scenes import COLOURS, SHAPES, DrawnScene, Scene, SceneOptions, draw_scene, make_scene
from api_core.scenes.draw import boxes_of
from api_core.scenes.questions import Facts, facts_from_boxes, facts_of
from api_core.scenes.world import colour_sample, stream_generator

SIDE, PATCH, SLOTS = 112, 8, 5
GRID = SIDE // PATCH
WORLD = SceneOptions(objects=(1, SLOTS), radius=(0.065, 0.22), alike=0.5, overlap=0.15)
_CHUNK = 500
_LETTERBOXED = 0.12


@dataclass(frozen=True)
class SceneBank:
    pictures: np.ndarray
    cover: np.ndarray
    kinds: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    def facts(self, row: int) -> Facts:
        """What can be asked about picture `row`."""
        kinds = self.kinds[row]
        count = int((kinds[:, 0] >= 0).sum())
        names = tuple((COLOURS[c], SHAPES[s]) for c, s in kinds[:count])
        return facts_from_boxes(names, self.boxes[row, :count], (SIDE, SIDE))


def open_bank(folder: Path) -> SceneBank:
    pictures, cover = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pictures", "cover"))
    return SceneBank(pictures, cover, np.load(folder / "kinds.npy"), np.load(folder / "boxes.npy"))


def build_bank(folder: Path, count: int, workers: int, stream: str = "train") -> SceneBank:
    """Draw `count` pictures (an even number) of `stream` into `folder`; a finished bank of that size is kept."""
    done = folder / "boxes.npy"
    if done.exists() and len(np.load(done, mmap_mode="r")) == count:
        return open_bank(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in (("pictures", (count, SIDE, SIDE, 3)), ("cover", (count, SLOTS, GRID, GRID))):
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)
    kinds = np.full((count, SLOTS, 2), -1, np.int8)
    boxes = np.zeros((count, SLOTS, 4), np.float32)
    draw = functools.partial(_draw_chunk, folder=folder, count=count, stream=stream)
    with get_context("fork").Pool(workers) as pool:
        for start, chunk_kinds, chunk_boxes in pool.imap_unordered(draw, range(0, count, _CHUNK)):
            kinds[start : start + len(chunk_kinds)] = chunk_kinds
            boxes[start : start + len(chunk_boxes)] = chunk_boxes
    np.save(folder / "kinds.npy", kinds)
    np.save(done, boxes)
    return open_bank(folder)


def _draw_chunk(start: int, folder: Path, count: int, stream: str) -> tuple[int, np.ndarray, np.ndarray]:
    stop = min(start + _CHUNK, count)
    pictures = np.load(folder / "pictures.npy", mmap_mode="r+")
    cover = np.load(folder / "cover.npy", mmap_mode="r+")
    kinds = np.full((stop - start, SLOTS, 2), -1, np.int8)
    boxes = np.zeros((stop - start, SLOTS, 4), np.float32)
    for row, drawn in zip(range(start, stop), _pairs(start, stream), strict=False):
        objects = drawn.scene.objects
        pictures[row] = (drawn.picture * 255 + 0.5).astype(np.uint8)
        patches = drawn.masks.reshape(len(objects), GRID, PATCH, GRID, PATCH).mean((2, 4))
        cover[row, : len(objects)] = (patches * 255 + 0.5).astype(np.uint8)
        kinds[row - start, : len(objects)] = [(COLOURS.index(o.colour), SHAPES.index(o.shape)) for o in objects]
        boxes[row - start, : len(objects)] = drawn.boxes
    return start, kinds, boxes


def _pairs(first: int, stream: str) -> Iterator[DrawnScene]:
    """Scenes from number 10 * `first` on in which nothing is too hidden to be asked about, each with its twin."""
    number = 10 * first
    while True:
        scene = make_scene(number, stream, WORLD)
        rng = stream_generator(stream, number, purpose=6)
        twin = changed(scene, rng)
        boxed = rng.random() < _LETTERBOXED / 0.5
        border = (0.0, 0.5, 1.0, rng.random())[int(rng.integers(4))]
        pair = [_in_square(each, boxed, border) for each in (scene, twin)]
        if all(facts_of(drawn) is not None for drawn in pair):
            yield from pair
        number += 1


def _in_square(scene: Scene, boxed: bool, border: float) -> DrawnScene:
    """The scene as the model gets it: stretched to the square, or (`boxed`) in its own aspect on a plain border."""
    if scene.aspect == 1 or not boxed:
        return draw_scene(scene, SIDE, SIDE)
    height = min(SIDE, round(SIDE / scene.aspect / 2) * 2)
    width = min(SIDE, round(SIDE * scene.aspect / 2) * 2)
    drawn = draw_scene(scene, height, width)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    picture = np.full((SIDE, SIDE, 3), border, np.float32)
    masks = np.zeros((len(drawn.masks), SIDE, SIDE), np.float32)
    picture[top : top + height, left : left + width] = drawn.picture
    masks[:, top : top + height, left : left + width] = drawn.masks
    return DrawnScene(scene, picture, masks, boxes_of(masks))


def changed(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with one thing changed: a colour, a shape, two colours or places swapped, all mirrored, one gone."""
    objects = list(scene.objects)
    one, other = (int(i) for i in rng.permutation(max(2, len(objects)))[:2])
    what = ("colour", "shape", "swap colours", "swap places", "mirror", "gone")[int(rng.integers(6))]
    if len(objects) < 2:
        one, what = 0, what if what in ("shape", "mirror") else "colour"
    first = objects[one]
    if what == "colour":
        colour = [c for c in COLOURS if c != first.colour][int(rng.integers(len(COLOURS) - 1))]
        objects[one] = replace(first, colour=colour, rgb=colour_sample(rng, colour))
    elif what == "shape":
        objects[one] = replace(first, shape=[s for s in SHAPES if s != first.shape][int(rng.integers(5))])
    elif what == "swap colours":
        second = objects[other]
        objects[one] = replace(first, colour=second.colour, rgb=second.rgb)
        objects[other] = replace(second, colour=first.colour, rgb=first.rgb)
    elif what == "swap places":
        second = objects[other]
        objects[one] = replace(first, x=second.x, y=second.y, radius=second.radius)
        objects[other] = replace(second, x=first.x, y=first.y, radius=first.radius)
    elif what == "mirror":
        across = rng.random() < 0.5
        flip = [replace(o, x=scene.width - o.x) if across else replace(o, y=scene.height - o.y) for o in objects]
        objects = flip
    else:
        del objects[one]
    return replace(scene, objects=tuple(objects))
