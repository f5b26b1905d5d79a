"""What a way of drawing a mask over a picture is, and how people choose it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ..errors import InvalidInput, shortened
from ..settings import Color, Setting, settings_of

if TYPE_CHECKING:
    from torch import Tensor

    from .warp import Mapping

Layer = Callable[[int, int], "tuple[Tensor, Tensor]"]
"""For rows first..last: colours that broadcast to [rows, W, 3], and their cover [rows, W], 0..1."""

NODE_STRENGTH = 0.3
"""What a newly placed node draws with. Drawn in full, a fade cost answers; this was chosen on development scenes
(docs/results-surest.md). The functions and the command line draw in full unless told otherwise, as the paper does."""

Rounding = Literal["none", "round", "truncate"]
ROUNDINGS: tuple[Rounding, ...] = ("none", "round", "truncate")


@dataclass(frozen=True)
class Form:
    """A style as the node offers it. title: its name there. make: the style from the settings by name."""

    title: str
    make: "Callable[..., Style]"
    settings: tuple[Setting, ...]


class Style:
    """The base of all styles, which are dataclasses. torch is imported where a style draws, not where it is chosen.

    The mask is 1 where the picture matters. name: on the command line. title: in the node, where that is another.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    rounding: Rounding = "none"

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """How the node offers it: once, with all settings, unless a style says otherwise."""
        return (Form(cls.title or cls.name, cls, settings_of(cls)),)

    def layer(self, colors: "Tensor", mask: "Tensor") -> Layer:
        """What is laid over a picture [H, W, 3] with its mask [H, W], strip by strip from top to bottom."""
        raise NotImplementedError

    def mapping(self, mask: "Tensor", strength: float) -> "Mapping | None":
        """Of a style that moves pixels, and then lays nothing over them: where those of a picture with this mask [H, W]
        go. None: nothing moves."""
        return None


def require_color(color: Color) -> None:
    """Raise InvalidInput for what is not three levels."""
    if len(color) != 3 or not all(0 <= level <= 1 for level in color):
        raise InvalidInput(f"A colour is three levels (red, green, blue) between 0 and 1, not {shortened(color)}.")
