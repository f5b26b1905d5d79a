"""Prompted pictures: a mask drawn over a picture by fading, blurring, desaturating, colouring or outlining.

A new style is a file beside this, and its name here.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy
from .blur import BlurStyle
from .desaturate import DesaturateStyle
from .fade import FadeStyle
from .heat import HeatStyle
from .outline import OutlineStyle
from .style import ROUNDINGS, Rounding, Style

if TYPE_CHECKING:
    from .drawing import apply

__all__ = [
    "ROUNDINGS",
    "STYLES",
    "BlurStyle",
    "DesaturateStyle",
    "FadeStyle",
    "HeatStyle",
    "OutlineStyle",
    "Rounding",
    "Style",
    "apply",
]

STYLES: tuple[type[Style], ...] = (FadeStyle, BlurStyle, DesaturateStyle, HeatStyle, OutlineStyle)
"""New ones come last."""

__getattr__, __dir__ = lazy(__name__, {"apply": "drawing"})
