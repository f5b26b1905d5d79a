"""The node that draws a mask over a picture."""

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..api_core.broadcast import broadcast
from ..api_core.overlay import NODE_STRENGTH, STYLES, apply, mapping
from ..api_core.pictures import as_masks
from . import comfy_types, host, sockets, ui_files, widgets
from .entrance import checked

FORMS = {form.title: form for style in STYLES for form in style.forms()}
CHOICES = {title: form.settings for title, form in FORMS.items()}


class Overlay(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptOverlay",
            display_name="Overlay Attention",
            category=sockets.CATEGORY,
            description=(
                "Draws a mask over a picture: what is irrelevant fades, blurs or loses its colour, or what is relevant "
                "is coloured, outlined or magnified. Fading to black is the prompt of the paper."
            ),
            search_aliases=[
                "attention prompting",
                "apply mask",
                "darken background",
                "blur background",
                "heatmap overlay",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The pictures to draw on. Alpha is kept."),
                io.Mask.Input(
                    "mask", tooltip="White is what is relevant. As many masks as pictures, or one of either for all."
                ),
                widgets.number(
                    "strength",
                    NODE_STRENGTH,
                    (0.0, 1.0),
                    "How much of the effect: 0 leaves the picture as it is, 1 is all of it. Fading in full costs "
                    "answers where the map errs; magnify, heat colours and outline are meant for 1.",
                    step=0.05,
                ),
                widgets.dynamic_input(
                    "style",
                    CHOICES,
                    "What is done to the picture. For a language model: magnify at strength 1; the paper's is "
                    "fade to grey, level 0.",
                ),
            ],
            outputs=[
                sockets.output(io.Image, "image", "The prompted pictures, of the same size."),
                sockets.output(
                    sockets.Mapping, "mapping", "Where each point went, for Map Back; only magnify moves any."
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    @checked
    def execute(cls, image: Tensor, mask: Tensor, strength: float, style: Mapping[str, Any]) -> io.NodeOutput:
        pictures, masks = comfy_types.to_picture_batch(image), as_masks(mask)
        title, settings = widgets.to_choice("style", CHOICES, style)
        made, size = FORMS[title].make(**settings), (pictures.shape[1], pictures.shape[2])
        drawn = apply(pictures, masks, made, strength)
        moved = [mapping(one, made, strength, size) for one in masks]
        said = {name if name == "style" else f"style.{name}": value for name, value in style.items()}
        return io.NodeOutput(
            host.to_intermediate(drawn),
            tuple(broadcast(moved, len(drawn), "mappings")),
            ui=ui_files.ui_entry(
                masks=list(masks),
                pictures=list(pictures),
                settings={"strength": strength, **said},
                size=list(size),
            ),
        )
