"""Connected components of a picture-sized array, in numpy alone: runs of pixels joined where they touch."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Component:
    """One 8-connected part: its tight box, the sum of its values, its size, and its brightest pixel (x, y)."""

    x: int
    y: int
    width: int
    height: int
    mass: float
    pixels: int
    peak: tuple[int, int]
    peak_value: float


def components(values: np.ndarray, inside: np.ndarray, most: int) -> list[Component]:
    """The 8-connected parts of `inside` (bool [H, W]), the `most` of greatest mass (sum of `values`) first.

    Of equal masses the one that begins higher up, then farther left, is first.
    """
    rows, starts, ends = _runs(inside)
    if not len(rows):
        return []
    labels = _join(rows, starts, ends, inside.shape[1])
    width = inside.shape[1]
    flat = np.append(values.ravel(), values.dtype.type(0))
    first, last = rows * width + starts, rows * width + ends
    bounds = np.stack([first, last], 1).ravel()
    sums = np.add.reduceat(flat, bounds, dtype=np.float64)[::2]
    peaks = np.maximum.reduceat(flat, bounds)[::2]
    mass = np.bincount(labels, sums)
    order = np.argsort(-mass, kind="stable")[:most]
    return [_describe(values, rows, starts, ends, peaks, float(mass[label]), labels == label) for label in order]


def _runs(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unbroken runs along the rows: their row, first column, and the column after the last; in reading order."""
    padded = np.zeros((inside.shape[0], inside.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = inside
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    return rows, starts, np.nonzero(steps == -1)[1]


def _join(rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, width: int) -> np.ndarray:
    """A label per run, 0, 1, 2 ... in reading order of the parts' first runs."""
    stride = width + 2
    # The runs above that touch a run, corners included, follow one another: from `low` to before `high`.
    above = (rows - 1) * stride
    low = np.searchsorted(rows * stride + ends, above + starts, side="left")
    high = np.searchsorted(rows * stride + starts, above + ends, side="right")
    count = np.maximum(high - low, 0)
    lower = np.repeat(np.arange(len(rows)), count)
    upper = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    parents = np.arange(len(rows))
    while len(lower):
        a, b = parents[lower], parents[upper]
        np.minimum.at(parents, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(shorter := parents[parents], parents):
            parents = shorter
        apart = parents[lower] != parents[upper]
        lower, upper = lower[apart], upper[apart]
    return np.unique(parents, return_inverse=True)[1]


def _describe(
    values: np.ndarray,
    rows: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    peaks: np.ndarray,
    mass: float,
    own: np.ndarray,
) -> Component:
    rows, starts, ends, peaks = rows[own], starts[own], ends[own], peaks[own]
    best = int(peaks.argmax())
    row = int(rows[best])
    column = int(starts[best]) + int(values[row, starts[best] : ends[best]].argmax())
    x, y = int(starts.min()), int(rows[0])
    return Component(
        x,
        y,
        int(ends.max()) - x,
        int(rows[-1]) + 1 - y,
        mass,
        int((ends - starts).sum()),
        (column, row),
        float(peaks[best]),
    )
