"""Drawn scenes of coloured shapes with everything known about them: boxes, masks, captions, questions and answers."""

from .draw import DrawnScene, draw_scene
from .world import COLOURS, SHAPES, Scene, SceneObject, SceneOptions, make_scene

__all__ = ["COLOURS", "SHAPES", "DrawnScene", "Scene", "SceneObject", "SceneOptions", "draw_scene", "make_scene"]
