"""The mask shown as colours."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..colormaps import COLORMAPS, colorize, colormap, require_colormap
from ..settings import Setting
from .style import Form, Style, StyleChoice, require_share

if TYPE_CHECKING:
    from torch import Tensor

    from .style import Layer


@dataclass(frozen=True)
class HeatStyle(Style):
    """The mask as colours over the picture. weighted: the colours are as dense as the mask is strong."""

    colormap: str = "turbo"
    opacity: float = 0.5
    weighted: bool = False

    def __post_init__(self) -> None:
        require_colormap(self.colormap)
        require_share(self.opacity, "opacity")

    def layer(self, colors: "Tensor", mask: "Tensor") -> "Layer":
        """Colours by the mask's values, everywhere or where it is strong."""
        table = colormap(self.colormap)

        def rows(first: int, last: int) -> "tuple[Tensor, Tensor]":
            values = mask[first:last]
            cover = values * self.opacity if self.weighted else values.new_full(values.shape, self.opacity)
            return colorize(values, table), cover

        return rows


SETTINGS = (
    Setting("colormap", HeatStyle.colormap, describes="Colours from low to high.", short="", options=COLORMAPS),
    Setting("opacity", HeatStyle.opacity, 0.0, 1.0, "How much the colours cover the picture.", short="", step=0.05),
    Setting(
        "weighted",
        HeatStyle.weighted,
        describes="On: colours cover the picture where the mask is strong only.",
        short="denser where the mask is",
        advanced=True,
    ),
)
CHOICE = StyleChoice("heat", HeatStyle, SETTINGS, (Form("heat colours", HeatStyle, SETTINGS),))
