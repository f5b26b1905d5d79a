"""The ways to prompt a picture with a mask; each is data. The mask is 1 where the picture matters."""

import math
from dataclasses import dataclass
from typing import Literal

from ..colormaps import colormap
from ..errors import InvalidInput
from ..pictures import Color

Rounding = Literal["none", "round", "truncate"]
ROUNDINGS: tuple[Rounding, ...] = ("none", "round", "truncate")


@dataclass(frozen=True)
class FadeStyle:
    """What does not matter fades to one colour: out = picture * mask + (1 - mask) * color, the paper's blend.

    rounding: to 8-bit levels, kept as floats: "truncate" is the official code's, which darkens by half a level.
    """

    color: Color = (0.0, 0.0, 0.0)
    rounding: Rounding = "none"

    def __post_init__(self) -> None:
        _require_color(self.color)
        if self.rounding not in ROUNDINGS:
            raise InvalidInput(f"There is no rounding {self.rounding!r}. Choose one of {', '.join(ROUNDINGS)}.")

    @classmethod
    def grey(cls, level: float, rounding: Rounding = "none") -> "FadeStyle":
        """Fade to a grey level 0..255, as the official code counts them."""
        if not 0 <= level <= 255:
            raise InvalidInput(f"A grey level lies between 0 (black) and 255 (white), not {level}.")
        return cls((level / 255,) * 3, rounding)


@dataclass(frozen=True)
class BlurStyle:
    """What does not matter blurs. radius: the standard deviation of the blur in pixels."""

    radius: float = 12.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise InvalidInput(f"The blur's radius must be above 0 pixels, not {self.radius}.")


@dataclass(frozen=True)
class DesaturateStyle:
    """What does not matter loses its colours (luma of Rec. 709)."""


@dataclass(frozen=True)
class HeatStyle:
    """The mask as colours over the picture. weighted: the colours are as dense as the mask is strong."""

    colormap: str = "turbo"
    opacity: float = 0.5
    weighted: bool = False

    def __post_init__(self) -> None:
        colormap(self.colormap)
        _require_share(self.opacity, "opacity")


@dataclass(frozen=True)
class OutlineStyle:
    """A line of `width` pixels around where the mask reaches `threshold`."""

    color: Color = (1.0, 0.0, 0.0)
    width: int = 3
    threshold: float = 0.5

    def __post_init__(self) -> None:
        _require_color(self.color)
        _require_share(self.threshold, "threshold")
        if self.width < 1 or int(self.width) != self.width:
            raise InvalidInput(f"The outline's width must be a whole number of pixels from 1 on, not {self.width}.")


Style = FadeStyle | BlurStyle | DesaturateStyle | HeatStyle | OutlineStyle


def _require_color(color: Color) -> None:
    if len(color) != 3 or not all(0 <= level <= 1 for level in color):
        raise InvalidInput(f"A colour is three levels (red, green, blue) between 0 and 1, not {color!r}.")


def _require_share(value: float, what: str) -> None:
    if not 0 <= value <= 1:
        raise InvalidInput(f"The {what} must lie between 0 and 1, not {value}.")
