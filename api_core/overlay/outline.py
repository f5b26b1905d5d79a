"""A line around what matters."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..settings import Color, require_in_range, setting
from .style import Layer, Style, require_color

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class OutlineStyle(Style):
    """A line of `width` pixels around where the mask reaches `threshold`."""

    name: ClassVar[str] = "outline"
    color: Color = setting(
        (1.0, 0.0, 0.0), describes="The line's colour.", short="0 to 255 or #rrggbb", widget="colour", offered="#ff3030"
    )
    width: int = setting(
        3, 1, describes="The line's width in pixels.", short="", reach=(1, 64), flag="line-width", unit="pixels"
    )
    threshold: float = setting(
        0.5,
        0.0,
        1.0,
        "The mask's value that the line follows.",
        short="the mask's value along the line",
        step=0.01,
        flag="line-threshold",
    )

    def __post_init__(self) -> None:
        require_color(self.color)
        require_in_range(self)

    def layer(self, colors: "Tensor", mask: "Tensor") -> Layer:
        """The colour along the edge of the region."""
        from ..morphology import grow
        from .gaussian import in_blocks

        color = mask.new_tensor(self.color)
        width = int(self.width)
        outwards = math.ceil(width / 2)
        inwards = width - outwards

        def line(first: int, last: int) -> "Tensor":
            start = max(first - width, 0)
            region = (mask[start : last + width] >= self.threshold).to(mask.dtype)
            edge = grow(region, outwards) - grow(region, -inwards)
            return edge[first - start : last - start]

        rows = in_blocks(line, len(mask))
        return lambda first, last: (color, rows(first, last))
