"""A drawn scene to ask the embedded model about, and the tiny random models of `tests/core/models`."""

import pytest
import torch
from pack.api_core.scenes import Scene, SceneObject, draw_scene
from pack.tests.core.models.conftest import lvlm, zoo_folder

__all__ = ["drawn", "lvlm", "picture", "zoo_folder"]


def thing(shape, colour, rgb, x, y):
    return SceneObject(shape, colour, rgb, x, y, 0.16, 0.0, 1.0, (0.5, 0.5), "flat", 0.0, (0.0, 0.0, 0.0))


@pytest.fixture(scope="session")
def drawn():
    """A red star at the top left, a blue circle at the bottom right."""
    things = (thing("star", "red", (0.9, 0.1, 0.1), 0.28, 0.3), thing("circle", "blue", (0.1, 0.2, 0.9), 0.72, 0.7))
    return draw_scene(Scene("test", 1, 1.0, "plain", 4, things, 0, 0.0, 0.0, 0.0), 112, 112)


@pytest.fixture(scope="session")
def picture(drawn):
    return torch.from_numpy(drawn.picture).float().contiguous()
