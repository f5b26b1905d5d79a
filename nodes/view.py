"""The node that shows what a model found."""

import functools
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..api_core import overlay
from ..api_core.broadcast import broadcast
from ..api_core.errors import InvalidInput, shortened
from ..api_core.masks import tune
from ..api_core.panel import side_by_side
from ..api_core.pictures import as_masks
from ..api_core.presence_score import presence_of
from ..api_core.results import Heatmap
from . import comfy_types, host, page, sockets, ui_files
from .entrance import checked

TALLEST = 1024


class View(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptView",
            display_name="View Heatmap",
            category=sockets.CATEGORY,
            description="Shows a heatmap or a mask as colours over its picture, beside the original.",
            search_aliases=["attention prompting", "preview heatmap", "show attention", "visualize mask", "saliency"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The pictures that the map belongs to."),
                io.MultiType.Input(
                    "map",
                    types=[sockets.Heatmap, io.Mask],
                    tooltip="A heatmap, shown with its model's own contrast and smoothing, or a mask.",
                ),
            ],
            outputs=[sockets.output(io.Image, "image", "The same view as pictures, to save or compare.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(cls, image: Tensor, map: Heatmap | Tensor) -> io.NodeOutput:
        pictures = comfy_types.to_pictures(image)
        masks, captions, warnings = _to_masks(map)
        texts = (*_presences(map), *warnings)
        if len(masks) not in (1, len(pictures)):
            raise InvalidInput(
                f"View Heatmap cannot lay {len(masks)} maps over a batch of {len(pictures)}. "
                "Connect the pictures that the map was made of."
            )
        each = functools.partial(broadcast, count=len(pictures), what="maps")
        panels = [
            side_by_side([picture, overlay.apply(picture, mask, overlay.HeatStyle())], ("original", caption), TALLEST)
            for picture, mask, caption in zip(pictures, each(masks), each(captions), strict=True)
        ]
        page.warn(cls.hidden.unique_id, warnings)
        shown = comfy_types.to_batch(panels, "Views")
        said = {"text": [page.for_page(text) for text in texts]} if texts else {}
        raw = {"heatmap": map} if isinstance(map, Heatmap) else {"masks": masks}
        return io.NodeOutput(
            host.to_intermediate(shown),
            ui={**_preview(cls, shown), **said, **ui_files.ui_entry(**raw, pictures=pictures)},
        )


def _preview(node: Any, shown: Tensor) -> dict[str, Any]:
    """The pictures on the node, where they can be written."""
    with page.comfort("this node's pictures"):
        return dict(ui.PreviewImage(shown, cls=node).as_dict())
    return {}


def _presences(shown: Heatmap | Tensor) -> list[str]:
    """Of each picture how far what was asked for stands out, where the map says it."""
    pictures = shown.pictures if isinstance(shown, Heatmap) else ()
    return [f"{shortened(one.labels[0].text)}: presence {presence_of(one):.1f}" for one in pictures if one.presence]


def _to_masks(shown: Heatmap | Tensor) -> tuple[list[Tensor], list[str], tuple[str, ...]]:
    """A mask for each map, what each is called, and what to warn of."""
    if not isinstance(shown, Heatmap):
        masks = list(as_masks(shown))
        return masks, ["mask"] * len(masks), ()
    if not shown.pictures:
        raise InvalidInput("The heatmap holds no picture. Connect one that was made of at least one.")
    tuned = tune(shown)
    captions = [picture.labels[0].text for picture in shown.pictures]
    return list(tuned.masks), captions, (*shown.warnings, *tuned.warnings)
