"""Does a map lie on the object it was asked for? The scores, ties counted by their expected value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput

# Thresholds tried for the intersection over union: as many as an 8-bit mask has.
_LEVELS = 256


@dataclass(frozen=True)
class LocalisationScore:
    """One map against the boxes of what was asked for, all 0..1.

    pointing: the map's peak lies in a box (of equal peaks, the share that does). energy: the share of the min-max map
    inside the boxes. first: of all objects' boxes, the one with the highest mean was asked for (ties share one point).
    iou: intersection over union of the boxes and the map above its best threshold.
    """

    pointing: float
    energy: float
    first: float
    iou: float


def score_map(heat: np.ndarray, boxes: np.ndarray, wanted: int | Sequence[int]) -> LocalisationScore:
    """Score `heat` [H, W] against `boxes` [N, 4] (left, top, right, bottom in pixels); `wanted` was asked for."""
    asked = [wanted] if isinstance(wanted, int | np.integer) else list(wanted)
    fine = heat.ndim == 2 and boxes.ndim == 2 and boxes.shape[1] == 4 and asked
    if not fine or not all(0 <= index < len(boxes) for index in asked):
        raise InvalidInput(
            f"A map [H, W], boxes [N, 4] and one of them are needed, not {heat.shape}, {boxes.shape} and {wanted}."
        )
    inside = np.zeros(heat.shape, bool)
    for index in asked:
        inside[_window(boxes[index], heat.shape)] = True
    peaks = heat == heat.max()
    scaled = heat - heat.min()
    total = float(scaled.sum())
    energy = float(scaled[inside].sum()) / total if total > 0 else float(inside.mean())
    means = np.array([heat[_window(box, heat.shape)].mean() for box in boxes])
    best = means == means.max()
    first = float(best[asked].sum()) / int(best.sum())
    return LocalisationScore(float(inside[peaks].mean()), energy, first, _best_overlap(scaled, inside))


def _best_overlap(scaled: np.ndarray, inside: np.ndarray) -> float:
    """The largest intersection over union of `inside` and {scaled >= t}, over the thresholds t of an 8-bit map."""
    top = float(scaled.max())
    levels = (scaled * ((_LEVELS - 1) / top)).astype(np.uint8) if top > 0 else np.zeros(scaled.shape, np.uint8)
    above = np.bincount(levels.ravel(), minlength=_LEVELS)[::-1].cumsum()
    hit = np.bincount(levels[inside], minlength=_LEVELS)[::-1].cumsum()
    return float((hit / (above + int(inside.sum()) - hit)).max())


def _window(box: np.ndarray, size: tuple[int, ...]) -> tuple[slice, slice]:
    """The box's pixels, at least one."""
    left, top = min(int(box[0]), size[1] - 1), min(int(box[1]), size[0] - 1)
    return slice(top, max(round(float(box[3])), top + 1)), slice(left, max(round(float(box[2])), left + 1))
