"""A node that draws what the embedded models understand, so that a workflow needs no picture to start from."""

import torch
from comfy_api.latest import io

from ..api_core.scenes import SceneOptions, draw_scene, make_scene
from . import host, sockets, widgets


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
                widgets.number("width", 768, (64, 4096), "Width of the picture in pixels.", step=8),
                widgets.number("height", 512, (64, 4096), "Height of the picture in pixels.", step=8),
                widgets.number("objects", 5, (1, 9), "How many shapes are drawn."),
                widgets.seed("The number of the scene: the same number draws the same scene."),
            ],
            outputs=[
                sockets.output(io.Image, "image", "The drawn picture."),
                sockets.output(io.String, "description", "What was drawn, from left to right: 'red star, …'."),
                sockets.output(io.BoundingBox, "bboxes", "Where each shape is, with its name."),
            ],
        )

    @classmethod
    def execute(cls, width: int, height: int, objects: int, seed: int) -> io.NodeOutput:
        options = SceneOptions(
            objects=(objects, objects), aspects=(width / height,), square_share=0, overlap=0, clutter=0, spoil=0
        )
        scene = make_scene(seed, "development", options)
        drawn = draw_scene(scene, height, width)
        found = sorted(zip(drawn.boxes.tolist(), scene.objects, strict=True), key=lambda pair: pair[0][0])
        boxes = [
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
        image = host.to_intermediate(torch.as_tensor(drawn.picture, dtype=torch.float32).clamp(0, 1).unsqueeze(0))
        return io.NodeOutput(image, ", ".join(item.name for _, item in found), [boxes])
