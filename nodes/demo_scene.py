"""A node that draws what the embedded models understand, so that a workflow needs no picture to start from."""

from typing import Any

import torch
from comfy_api.latest import io

from ..api_core.scenes import DrawnScene, SceneOptions, draw_scene, make_scene
from ..api_core.scenes.crossing import crossing
from ..api_core.settings import Setting, require_seed
from . import host, sockets, widgets
from .entrance import checked

SIZES = (
    Setting("width", 768, 64, 4096, "Width of the picture in pixels.", step=8),
    Setting("height", 512, 64, 4096, "Height of the picture in pixels.", step=8),
    Setting("objects", 5, 1, 9, "How many shapes are drawn."),
)
FRAMES = Setting(
    "frames",
    1,
    1,
    600,
    "1: a picture. More: a clip of so many frames, through which one shape moves from left to right.",
    optional=True,
    advanced=True,
)


class DemoScene(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptDemoScene",
            display_name="Demo Scene",
            category=sockets.CATEGORY,
            description=(
                "Draws a picture of coloured shapes, the world that the embedded demo model knows. "
                "Try queries such as 'the red star' on it before you turn to photographs."
            ),
            search_aliases=["attention prompting", "test picture", "example image", "shapes"],
            inputs=[
                *map(widgets.to_input, SIZES),
                widgets.seed("The number of the scene: the same number draws the same scene."),
                widgets.to_input(FRAMES),
            ],
            outputs=[
                sockets.output(io.Image, "image", "The drawn picture, or the frames of the clip."),
                sockets.output(
                    io.String,
                    "description",
                    "What was drawn, from left to right: 'red star, …'. Of a clip the first one moves.",
                ),
                sockets.output(io.BoundingBox, "bboxes", "Where each shape is, with its name, in each picture."),
            ],
        )

    @classmethod
    @checked
    def execute(cls, width: int, height: int, objects: int, seed: int, frames: int = 1) -> io.NodeOutput:
        for setting, value in zip((*SIZES, FRAMES), (width, height, objects, frames), strict=True):
            setting.check(value, "Demo Scene")
        require_seed(seed)
        options = SceneOptions(
            objects=(objects, objects), aspects=(width / height,), square_share=0, overlap=0, clutter=0, spoil=0
        )
        scene = make_scene(seed, "development", options)
        image = torch.empty(frames, height, width, 3)
        boxes = []
        for picture, moved in zip(image, crossing(scene, frames), strict=True):
            drawn = draw_scene(moved, height, width)
            picture.copy_(torch.as_tensor(drawn.picture, dtype=torch.float32).clamp(0, 1))
            boxes.append(_boxes(drawn))
        if frames == 1:
            names = [box["label"] for box in boxes[0]]
        else:  # where the one that moves is not in sight yet
            boxes = [[box for box in found if box["width"]] for found in boxes]
            names = [item.name for item in sorted(next(crossing(scene, frames)).objects, key=lambda item: item.x)]
        return io.NodeOutput(host.to_intermediate(image), ", ".join(names), boxes)


def _boxes(drawn: DrawnScene) -> list[dict[str, Any]]:
    """Where each shape is, from left to right."""
    found = sorted(zip(drawn.boxes.tolist(), drawn.scene.objects, strict=True), key=lambda pair: pair[0][0])
    return [
        {
            "x": int(x0),
            "y": int(y0),
            "width": int(x1 - x0),
            "height": int(y1 - y0),
            "label": item.name,
            "score": 1.0,
        }
        for (x0, y0, x1, y1), item in found
    ]
