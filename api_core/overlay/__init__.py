"""Prompted pictures: a mask drawn over a picture by fading, blurring, desaturating, colouring, outlining or magnifying.

A new style is a file beside this, and its name and a line of `STYLES` here.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy
from . import blur, desaturate, fade, heat, magnify, outline
from .blur import BlurStyle
from .desaturate import DesaturateStyle
from .fade import FadeStyle
from .heat import HeatStyle
from .magnify import MagnifyStyle
from .outline import OutlineStyle
from .style import ROUNDINGS, Form, Rounding, Style, StyleChoice

if TYPE_CHECKING:
    from .drawing import apply, mapping
    from .warp import Mapping

__all__ = [
    "ROUNDINGS",
    "STYLES",
    "BlurStyle",
    "DesaturateStyle",
    "FadeStyle",
    "Form",
    "HeatStyle",
    "MagnifyStyle",
    "Mapping",
    "OutlineStyle",
    "Rounding",
    "Style",
    "StyleChoice",
    "apply",
    "mapping",
]

STYLES: tuple[StyleChoice, ...] = (
    fade.CHOICE,
    blur.CHOICE,
    desaturate.CHOICE,
    heat.CHOICE,
    outline.CHOICE,
    magnify.CHOICE,
)

__getattr__, __dir__ = lazy(__name__, {"apply": "drawing", "mapping": "drawing", "Mapping": "warp"})
