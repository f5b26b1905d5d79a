"""What optimising a mask gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Optimised:
    """A mask [rows, columns] (0 = the answer needs it, 1 = it does not), and how it went.

    deletion, insertion: mean score of the blends at each step. evaluations: blends the model was shown, with gradients.
    """

    mask: Tensor
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    evaluations: int

    @property
    def importance(self) -> Tensor:
        return 1 - self.mask


def ignore_preview(importance: Tensor) -> None:
    """The default: nobody looks at a mask while it is made."""
