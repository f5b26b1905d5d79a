"""What the rest of the library needs to know of a model's text tower."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TextTower:
    """How texts are encoded: token ids [T, context] -> features [T, e], not normalised.

    croppable: tokens after a text's end cannot change its feature (causal attention, read at the end of the text), so
    a shorter context gives the same.
    """

    encode: Callable[[Tensor], Tensor]
    context_length: int
    croppable: bool
