"""Prompted pictures: a mask drawn over a picture by fading, blurring, desaturating, colouring or outlining."""

from .apply import apply
from .styles import (
    ROUNDINGS,
    BlurStyle,
    DesaturateStyle,
    FadeStyle,
    HeatStyle,
    OutlineStyle,
    Rounding,
    Style,
)

__all__ = [
    "ROUNDINGS",
    "BlurStyle",
    "DesaturateStyle",
    "FadeStyle",
    "HeatStyle",
    "OutlineStyle",
    "Rounding",
    "Style",
    "apply",
]
