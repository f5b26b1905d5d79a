"""Taking the colours of what does not matter."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .style import Layer, Style

if TYPE_CHECKING:
    from torch import Tensor

_LUMA = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class DesaturateStyle(Style):
    """What does not matter loses its colours (luma of Rec. 709)."""

    name: ClassVar[str] = "desaturate"

    def layer(self, colors: "Tensor", mask: "Tensor") -> Layer:
        """The picture in greys where the mask is not."""
        from ..autograd import without_autocast

        luma = colors.new_tensor(_LUMA)

        def rows(first: int, last: int) -> "tuple[Tensor, Tensor]":
            with without_autocast():
                return (colors[first:last] @ luma).unsqueeze(-1), 1 - mask[first:last]

        return rows
