"""The mask shown as colours."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..colormaps import COLORMAPS, colorize, colormap, require_colormap
from ..settings import require_in_range, setting
from .style import Layer, Style

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class HeatStyle(Style):
    """The mask as colours over the picture. weighted: the colours are as dense as the mask is strong."""

    name: ClassVar[str] = "heat"
    title: ClassVar[str] = "heat colours"
    colormap: str = setting("turbo", describes="Colours from low to high.", short="", options=COLORMAPS)
    opacity: float = setting(0.5, 0.0, 1.0, "How much the colours cover the picture.", short="", step=0.05)
    weighted: bool = setting(
        False,
        describes="On: colours cover the picture where the mask is strong only.",
        short="denser where the mask is",
        advanced=True,
    )

    def __post_init__(self) -> None:
        require_colormap(self.colormap)
        require_in_range(self)

    def layer(self, colors: "Tensor", mask: "Tensor") -> Layer:
        """Colours by the mask's values, everywhere or where it is strong."""
        table = colormap(self.colormap)

        def rows(first: int, last: int) -> "tuple[Tensor, Tensor]":
            values = mask[first:last]
            cover = values * self.opacity if self.weighted else values.new_full(values.shape, self.opacity)
            return colorize(values, table), cover

        return rows
