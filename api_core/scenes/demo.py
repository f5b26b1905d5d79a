"""Pictures to try things out on: several well separated objects on a photograph-like ground, free of noise."""

from __future__ import annotations

from dataclasses import replace

from .draw import DrawnScene, draw_scene
from .world import SceneOptions, make_scene

_OPTIONS = SceneOptions(
    objects=(5, 6),
    radius=(0.085, 0.15),
    aspects=(1.5,),
    square_share=0.0,
    grounds=("horizon", "clouds", "bokeh", "vignette", "gradient"),
    alike=0.55,
    overlap=0.0,
    clutter=2,
    spoil=0.0,
)


def draw_demo(number: int, height: int = 512, width: int = 768) -> DrawnScene:
    """Demo scene `number` (stream "development"), 3 : 2 unless `height` and `width` say otherwise."""
    scene = make_scene(number, "development", replace(_OPTIONS, aspects=(width / height,)))
    return draw_scene(scene, height, width)
