"""How far a map can be trusted: take away what it calls important, or bring back only that, and watch the answer.

Two readings of one pair of curves. `released` is the metric of arXiv 2503.13891 as its program computes it, but for its
last step, where that adds the number of cells left over instead of the score, and for cells of one value, which come in
reading order here and in any order there; `area` is a trapezoid on the raw mean probability, which does not explode
where picture and baseline are equally likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InvalidInput
from ..progress import Progress, ignore_progress
from .objective import Objective, Towards


@dataclass(frozen=True)
class Curve:
    """The answer's mean probability [steps + 1] after each share [steps + 1] of the cells, from none to all."""

    shares: Tensor
    probability: Tensor

    @property
    def area(self) -> float:
        """Trapezoid on the raw probability, 0..1."""
        return float(torch.trapezoid(self.probability, self.shares))

    def released(self, nothing: float, everything: float) -> float:
        """Right Riemann sum of the probability brought to 0 (at the baseline) .. 1 (at the picture); not clipped."""
        scaled = (self.probability - nothing) / (everything - nothing)
        return float((scaled[1:] * self.shares.diff()).sum())


@dataclass(frozen=True)
class Faithfulness:
    """Both curves of one map on one baseline. picture, baseline: mean probability with all of it and with nothing."""

    deletion: Curve
    insertion: Curve
    picture: float
    baseline: float

    @property
    def gap(self) -> float:
        """Insertion less deletion, of the areas: above 0 the map knows what matters, 1 is the most there is."""
        return self.insertion.area - self.deletion.area

    @property
    def share_of_perfect(self) -> float:
        """Insertion less deletion as a share of the most there is, which all of the answer gone, or back, with the
        first cell would be: at most 1, and below 0 worse than chance.

        What goes beyond the likelihoods with the picture and with the baseline is not counted.
        """
        insertion, deletion = (
            torch.trapezoid(curve.probability.clamp(self.baseline, self.picture), curve.shares)
            for curve in (self.insertion, self.deletion)
        )
        return float(insertion - deletion) / (self.picture - self.baseline)

    @property
    def depends_on_the_picture(self) -> bool:
        """Whether the answer loses enough without the picture for such curves to mean anything."""
        return self.picture - self.baseline >= 0.05


def measure(
    objective: Objective,
    importance: Tensor,
    *,
    steps: int = 25,
    chunk: int = 8,
    on_progress: Progress = ignore_progress,
) -> Faithfulness:
    """Delete and insert the cells of `importance` [rows, columns], most important first, in `steps` equal steps or so.

    The cells of a step are cut out of a mask of that size, which is lifted as any mask is (so its edges are soft).
    """
    if importance.ndim != 2 or not torch.isfinite(importance).all():
        raise InvalidInput(f"A map must be [rows, columns] of finite numbers, not {list(importance.shape)}.")
    keep, shares = _keep_masks(importance, steps)
    curves: dict[Towards, Tensor] = {}
    total, done = 2 * len(keep), 0
    with torch.no_grad():
        for towards in ("picture", "baseline"):
            found = []
            for part in keep.split(chunk):
                on_progress(done, total)
                found.append(objective.probability(objective.pixel_weights(part), towards).float().cpu())
                done += len(part)
            curves[towards] = torch.cat(found)
    on_progress(total, total)
    deleted, inserted = curves["picture"], curves["baseline"]
    return Faithfulness(Curve(shares, deleted), Curve(shares, inserted), float(deleted[0]), float(inserted[0]))


def _keep_masks(importance: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Masks [n, rows, columns] from all ones to all zeros, and the share of cells that each has lost."""
    cells = importance.numel()
    order = importance.flatten().argsort(descending=True, stable=True)
    step = max(1, cells // steps)
    counts = [*range(0, cells, step), cells]
    masks = torch.ones(len(counts), cells)
    for row, count in enumerate(counts):
        masks[row, order[:count]] = 0
    return masks.reshape(len(counts), *importance.shape), torch.tensor(counts) / cells
