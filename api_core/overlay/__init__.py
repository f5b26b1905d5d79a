"""Prompted pictures: a mask drawn over a picture by fading, blurring, desaturating, colouring, outlining or magnifying.

A new style is a file beside this, and its name here.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy
from .blur import BlurStyle
from .desaturate import DesaturateStyle
from .fade import FadeStyle
from .heat import HeatStyle
from .magnify import MagnifyStyle
from .outline import OutlineStyle
from .style import NODE_STRENGTH, ROUNDINGS, Rounding, Style

if TYPE_CHECKING:
    from .drawing import apply, mapping
    from .warp import Mapping

__all__ = [
    "NODE_STRENGTH",
    "ROUNDINGS",
    "STYLES",
    "BlurStyle",
    "DesaturateStyle",
    "FadeStyle",
    "HeatStyle",
    "MagnifyStyle",
    "Mapping",
    "OutlineStyle",
    "Rounding",
    "Style",
    "apply",
    "mapping",
]

STYLES: tuple[type[Style], ...] = (FadeStyle, BlurStyle, DesaturateStyle, HeatStyle, OutlineStyle, MagnifyStyle)
"""New ones come last."""

__getattr__, __dir__ = lazy(__name__, {"apply": "drawing", "mapping": "drawing", "Mapping": "warp"})
