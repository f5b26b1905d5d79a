"""Does a map lie on the object it was asked for? The scores, ties counted by their expected value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput


@dataclass(frozen=True)
class LocalisationScore:
    """One map against one object's box, all 0..1.

    pointing: the map's peak lies in the box (of equal peaks, the share that does). energy: the share of the min-max map
    inside the box. first: the mean inside the box beats that of every other object's box (ties share one point).
    """

    pointing: float
    energy: float
    first: float


def score_map(heat: np.ndarray, boxes: np.ndarray, wanted: int) -> LocalisationScore:
    """Score `heat` [H, W] against `boxes` [N, 4] (left, top, right, bottom in pixels); `wanted` was asked for."""
    if heat.ndim != 2 or boxes.ndim != 2 or boxes.shape[1] != 4 or not 0 <= wanted < len(boxes):
        raise InvalidInput(
            f"A map [H, W], boxes [N, 4] and one of them are needed, not {heat.shape}, {boxes.shape} and {wanted}."
        )
    inside = np.zeros(heat.shape, bool)
    inside[_window(boxes[wanted], heat.shape)] = True
    peaks = heat == heat.max()
    scaled = heat - heat.min()
    total = float(scaled.sum())
    energy = float(scaled[inside].sum()) / total if total > 0 else float(inside.mean())
    means = np.array([heat[_window(box, heat.shape)].mean() for box in boxes])
    best = means == means.max()
    return LocalisationScore(float(inside[peaks].mean()), energy, float(best[wanted]) / int(best.sum()))


def _window(box: np.ndarray, size: tuple[int, ...]) -> tuple[slice, slice]:
    """The box's pixels, at least one."""
    left, top = min(int(box[0]), size[1] - 1), min(int(box[1]), size[0] - 1)
    return slice(top, max(round(float(box[3])), top + 1)), slice(left, max(round(float(box[2])), left + 1))


def mean_with_interval(values: Sequence[float], clusters: Sequence[int]) -> tuple[float, float]:
    """The mean and half its 95 % interval, values of one cluster (questions about one picture) taken as dependent."""
    array, groups = np.asarray(values, float), np.asarray(clusters)
    mean = float(array.mean())
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, weights=array - mean)
    count = len(sums)
    if count < 2:
        return mean, float("nan")
    return mean, 1.96 * float(np.sqrt(count / (count - 1) * (sums**2).sum())) / len(array)


def prior_map(kind: str, size: tuple[int, int], box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A map that has not looked at the picture: "centre", "random" noise, or "random box" of the wanted box's size."""
    height, width = size
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
    raise InvalidInput(f"There is no prior {kind!r}. Choose centre, random, random box.")
