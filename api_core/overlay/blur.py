"""Blurring what does not matter."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import InvalidInput
from ..settings import require_number, setting
from .style import Layer, Style

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BlurStyle(Style):
    """What does not matter blurs. radius: the standard deviation of the blur in pixels."""

    name: ClassVar[str] = "blur"
    radius: float = setting(
        12.0,
        0.1,
        describes="How far irrelevant parts are blurred, in pixels.",
        short="",
        reach=(0.5, 256.0),
        step=0.5,
        unit="pixels",
    )

    def __post_init__(self) -> None:
        require_number(self.radius, "The blur's radius")
        if self.radius <= 0:
            raise InvalidInput(f"The blur's radius must be above 0 pixels, not {self.radius}.")

    def layer(self, colors: "Tensor", mask: "Tensor") -> Layer:
        """The blurred picture where the mask is not."""
        from .gaussian import blurred_rows

        blurred = blurred_rows(colors, self.radius)
        return lambda first, last: (blurred(first, last), 1 - mask[first:last])
