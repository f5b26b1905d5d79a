"""A bank of drawn scenes on disk, memory-mapped, so that training never waits for drawing.

`pictures` [n, 112, 112, 3] uint8; `cover` [n, 6, 14, 14] uint8 (share of each patch showing object k, 255 = all);
`kinds` [n, 6, 2] int8 (colour, shape; -1 where there is no object).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from api_core.scenes import COLOURS, SHAPES, draw_scene, make_scene
from api_core.scenes.world import stream_generator

SIDE, PATCH, SLOTS = 112, 8, 6
GRID = SIDE // PATCH
_CHUNK = 500
_LETTERBOXED = 0.12


@dataclass(frozen=True)
class Bank:
    pictures: np.ndarray
    cover: np.ndarray
    kinds: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


def open_bank(folder: Path) -> Bank:
    return Bank(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pictures", "cover", "kinds")))


def build_bank(folder: Path, count: int, workers: int, first: int = 0, stream: str = "train") -> Bank:
    """Draw `count` scenes of `stream`, from number `first`, into `folder`; a finished bank of that size is kept."""
    if (folder / "kinds.npy").exists() and len(np.load(folder / "kinds.npy", mmap_mode="r")) == count:
        return open_bank(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {"pictures": (count, SIDE, SIDE, 3), "cover": (count, SLOTS, GRID, GRID)}
    for name, shape in shapes.items():
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)
    kinds = np.full((count, SLOTS, 2), -1, np.int8)
    draw = functools.partial(_draw_chunk, folder=folder, count=count, first=first, stream=stream)
    with get_context("fork").Pool(workers) as pool:
        for start, chunk in pool.imap_unordered(draw, range(0, count, _CHUNK)):
            kinds[start : start + len(chunk)] = chunk
    np.save(folder / "kinds.npy", kinds)
    return open_bank(folder)


def _draw_chunk(start: int, folder: Path, count: int, first: int, stream: str) -> tuple[int, np.ndarray]:
    stop = min(start + _CHUNK, count)
    pictures = np.load(folder / "pictures.npy", mmap_mode="r+")
    cover = np.load(folder / "cover.npy", mmap_mode="r+")
    kinds = np.full((stop - start, SLOTS, 2), -1, np.int8)
    for row in range(start, stop):
        picture, masks, kind = draw_for_training(first + row, stream)
        pictures[row] = (picture * 255 + 0.5).astype(np.uint8)
        patches = masks.reshape(len(masks), GRID, PATCH, GRID, PATCH).mean((2, 4))
        cover[row, : len(masks)] = (patches * 255 + 0.5).astype(np.uint8)
        kinds[row - start, : len(masks)] = kind
    return start, kinds


def draw_for_training(number: int, stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scene `number` as the model gets it: stretched to the square, or (12 %) letterboxed on a plain border.

    Returns picture [112, 112, 3], masks [N, 112, 112], kinds [N, 2].
    """
    scene = make_scene(number, stream)
    rng = stream_generator(stream, number, purpose=5)
    kinds = np.array([(COLOURS.index(o.colour), SHAPES.index(o.shape)) for o in scene.objects], np.int8).reshape(-1, 2)
    if scene.aspect == 1 or rng.random() > _LETTERBOXED / 0.5:
        drawn = draw_scene(scene, SIDE, SIDE)
        return drawn.picture, drawn.masks, kinds
    height = min(SIDE, round(SIDE / scene.aspect / 2) * 2)
    width = min(SIDE, round(SIDE * scene.aspect / 2) * 2)
    drawn = draw_scene(scene, height, width)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    border = (0.0, 0.5, 1.0, float(drawn.picture.mean()))[int(rng.integers(4))]
    picture = np.full((SIDE, SIDE, 3), border, np.float32)
    masks = np.zeros((len(drawn.masks), SIDE, SIDE), np.float32)
    picture[top : top + height, left : left + width] = drawn.picture
    masks[:, top : top + height, left : left + width] = drawn.masks
    return picture, masks, kinds
