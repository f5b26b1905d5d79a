"""Scenes that move: one thing crosses the picture from left to right, in front of all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .world import Scene

_REACH = 1.3
"""How far an object may reach beyond its radius, as it is drawn."""


def crossing(scene: Scene, frames: int, step: float | None = None) -> Iterator[Scene]:
    """The scene so many times, its last object, which lies in front, further to the right each time.

    step: of the width, halfway through in the middle of the clip; None: it comes in at the left edge with the first
    frame, and is gone beyond the right one with the last. A single frame is the scene as it is.
    """
    if frames == 1:
        yield scene
        return
    *others, mover = scene.objects
    way = scene.width + 2 * _REACH * mover.radius if step is None else step * scene.width * (frames - 1)
    for frame in range(frames):
        x = scene.width / 2 + way * (frame / (frames - 1) - 0.5)
        yield replace(scene, objects=(*others, replace(mover, x=x)))


def in_front(scene: Scene, index: int) -> Scene:
    """The same scene with one of its objects drawn last."""
    others = [item for number, item in enumerate(scene.objects) if number != index]
    return replace(scene, objects=(*others, scene.objects[index]))
