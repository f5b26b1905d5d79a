"""Fading, the paper's prompt (Yu et al., Attention Prompting on Image, ECCV 2024)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import require_one_of
from ..settings import Color, Setting, require_number, setting, settings_of
from .style import ROUNDINGS, Form, Layer, Rounding, Style, require_color

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FadeStyle(Style):
    """What does not matter fades to one colour: out = picture * mask + (1 - mask) * color, the paper's blend.

    rounding: to 8-bit levels, kept as floats: "truncate" is the official code's, which darkens by half a level.
    """

    name: ClassVar[str] = "fade"
    color: Color = setting(
        (0.0, 0.0, 0.0),
        describes="What irrelevant parts fade to.",
        short="0 to 255 or #rrggbb",
        widget="colour",
        offered="#808080",
    )
    rounding: Rounding = setting(
        "none",
        describes="none keeps all precision; truncate gives the grey values of the paper's published code.",
        short="truncate is the paper's code's",
        options=ROUNDINGS,
        advanced=True,
    )

    def __post_init__(self) -> None:
        require_color(self.color)
        require_one_of(self.rounding, ROUNDINGS, "rounding")

    @classmethod
    def grey(cls, level: float, rounding: Rounding = "none") -> "FadeStyle":
        """Fade to a grey level 0..255, as the official code counts them."""
        require_number(level, "A grey level (0 black, 255 white)", 0, 255)
        return cls((level / 255,) * 3, rounding)

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """To grey by its level, as the official code has it, or to any colour."""
        color, rounding = settings_of(cls)
        level = Setting("level", 0, 0, 255, "What irrelevant parts fade to: 0 is black, 255 is white.")
        return Form("fade to grey", cls.grey, (level, rounding)), Form("fade to colour", cls, (color,))

    def layer(self, colors: "Tensor", mask: "Tensor") -> Layer:
        """The colour where the mask is not."""
        color = mask.new_tensor(self.color)
        return lambda first, last: (color, 1 - mask[first:last])
