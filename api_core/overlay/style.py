"""What a way of drawing a mask over a picture is, and how people choose it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import InvalidInput
from ..settings import Color, Setting

if TYPE_CHECKING:
    from torch import Tensor

    # For rows first..last: colours that broadcast to [rows, W, 3], and their cover [rows, W], 0..1.
    Layer = Callable[[int, int], tuple[Tensor, Tensor]]

Rounding = Literal["none", "round", "truncate"]
ROUNDINGS: tuple[Rounding, ...] = ("none", "round", "truncate")


class Style:
    """The base of all styles, which are data: a style is a file beside this and a line in the package's `STYLES`.

    The mask is 1 where the picture matters. torch is imported where a style draws, not where it is chosen.
    """

    rounding: Rounding = "none"

    def layer(self, colors: "Tensor", mask: "Tensor") -> "Layer":
        """What is laid over a picture [H, W, 3] with its mask [H, W], strip by strip from top to bottom."""
        raise NotImplementedError


@dataclass(frozen=True)
class Form:
    """A style as the node offers it. title: its name there. make: the style from the settings by name."""

    title: str
    make: Callable[..., Style]
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class StyleChoice:
    """A style as it is chosen. name: on the command line, and in the node where `forms` gives no others. settings: what
    fills the fields of `style`."""

    name: str
    style: type[Style]
    settings: tuple[Setting, ...] = ()
    forms: tuple[Form, ...] = ()

    def __post_init__(self) -> None:
        if not self.forms:
            object.__setattr__(self, "forms", (Form(self.name, self.style, self.settings),))


def require_color(color: Color) -> None:
    """Raise InvalidInput for what is not three levels."""
    if len(color) != 3 or not all(0 <= level <= 1 for level in color):
        raise InvalidInput(f"A colour is three levels (red, green, blue) between 0 and 1, not {color!r}.")


def require_share(value: float, what: str) -> None:
    """Raise InvalidInput for what does not lie between 0 and 1."""
    if not 0 <= value <= 1:
        raise InvalidInput(f"The {what} must lie between 0 and 1, not {value}.")
