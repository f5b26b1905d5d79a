"""Prompted pictures: a mask drawn over a picture by fading, blurring, desaturating, colouring or outlining.

A new style is a file beside this, and its name and a line of `STYLES` here.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy
from . import blur, desaturate, fade, heat, outline
from .blur import BlurStyle
from .desaturate import DesaturateStyle
from .fade import FadeStyle
from .heat import HeatStyle
from .outline import OutlineStyle
from .style import ROUNDINGS, Form, Rounding, Style, StyleChoice

if TYPE_CHECKING:
    from .drawing import apply

__all__ = [
    "ROUNDINGS",
    "STYLES",
    "BlurStyle",
    "DesaturateStyle",
    "FadeStyle",
    "Form",
    "HeatStyle",
    "OutlineStyle",
    "Rounding",
    "Style",
    "StyleChoice",
    "apply",
]

STYLES: tuple[StyleChoice, ...] = (fade.CHOICE, blur.CHOICE, desaturate.CHOICE, heat.CHOICE, outline.CHOICE)

__getattr__, __dir__ = lazy(__name__, {"apply": "drawing"})
