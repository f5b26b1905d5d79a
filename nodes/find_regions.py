"""The node that finds the bright parts of a mask."""

import json
from collections.abc import Sequence

from comfy_api.latest import io
from torch import Tensor

from ..api_core.broadcast import broadcast
from ..api_core.errors import InvalidInput
from ..api_core.pictures import as_masks
from ..api_core.regions import Region, best_window, bounding_boxes, crop, crop_mask, find_regions, points
from . import comfy_types, host, page, sockets, widgets
from .entrance import checked

NOTHING_FOUND = "Find Regions found nothing that reaches the threshold of {}. Lower it, or look at the mask."
LARGEST_WINDOW = 16384
NO_PICTURE = "Find Regions has no picture to cut from. Connect the pictures of the mask to its image input."


class FindRegions(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptFindRegions",
            display_name="Find Regions",
            category=sockets.CATEGORY,
            description=(
                "Finds connected bright parts of a mask, or the window that holds most of it: as boxes, as points, and "
                "as crops of the picture."
            ),
            search_aliases=[
                "attention prompting",
                "mask to bbox",
                "mask to points",
                "crop by mask",
                "blobs",
                "sam points",
            ],
            inputs=[
                io.Mask.Input("mask", tooltip="Where to look; white is relevant."),
                widgets.number(
                    "threshold",
                    0.5,
                    (0.0, 1.0),
                    "A region is a connected part of the mask that reaches this value.",
                    step=0.01,
                ),
                widgets.number(
                    "max_regions",
                    4,
                    (1, 100),
                    "How many regions of each picture are kept, those with most white first.",
                ),
                widgets.number(
                    "padding", 0, (0, 4096), "How many pixels a box is widened to each side, within the picture."
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The pictures that the mask belongs to; needed for crop. One mask may serve all.",
                ),
                widgets.number(
                    "window",
                    0,
                    (0, LARGEST_WINDOW),
                    "0: regions. Above: in their place the one square of so many pixels that holds most of the mask, "
                    "whatever threshold, max_regions and padding say.",
                    optional=True,
                ),
            ],
            outputs=[
                sockets.output(io.BoundingBox, "bboxes", "For each picture a list of boxes, for Draw BBoxes."),
                sockets.list_output(
                    io.String,
                    "points",
                    "For each picture the brightest point of each region, as a JSON list of x and y.",
                ),
                sockets.list_output(
                    io.Image, "crop", "One picture per region, one after the other, as they differ in size."
                ),
                io.Mask.Output(
                    "crop_mask", display_name="crop mask", is_output_list=True, tooltip="The mask inside each crop."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(
        cls,
        mask: Tensor,
        threshold: float,
        max_regions: int,
        padding: int,
        image: Tensor | None = None,
        window: int = 0,
    ) -> io.NodeOutput:
        masks = list(as_masks(mask))
        pictures = None if image is None else comfy_types.to_pictures(image)
        count = _count(masks, pictures)
        found: list[tuple[Region, ...]]
        if window:
            windows = [best_window(one, window) for one in masks]
            page.warn(cls.hidden.unique_id, [*dict.fromkeys(warning for _, warning in windows if warning)])
            found = [(region,) for region, _ in windows]
        else:
            found = [find_regions(one, threshold=threshold, max_regions=max_regions, padding=padding) for one in masks]
        found = broadcast(found, count, "masks")
        pairs = zip(broadcast(masks, count, "masks"), found, strict=True)
        cut = [crop_mask(one, region)[None] for one, regions in pairs for region in regions]
        nothing = host.blocked(NOTHING_FOUND.format(threshold))
        return io.NodeOutput(
            [bounding_boxes(regions) for regions in found],
            [json.dumps(points(regions)) for regions in found],
            host.blocked(NO_PICTURE) if pictures is None else _crops(pictures, found) or nothing,
            cut or nothing,
        )


def _crops(pictures: Sequence[Tensor], found: Sequence[tuple[Region, ...]]) -> list[Tensor]:
    return [
        host.to_intermediate(crop(picture, region)[None])
        for picture, regions in zip(broadcast(pictures, len(found), "pictures"), found, strict=True)
        for region in regions
    ]


def _count(masks: Sequence[Tensor], pictures: Sequence[Tensor] | None) -> int:
    """How many pictures there are: as many as masks, or one of either serves all of the other."""
    if pictures is None:
        return len(masks)
    count = max(len(masks), len(pictures))
    sizes_differ = pictures[0].shape[:2] != masks[0].shape
    if sizes_differ or not {len(masks), len(pictures)} <= {1, count}:
        (rows, columns), (height, width) = masks[0].shape, pictures[0].shape[:2]
        raise InvalidInput(
            f"Find Regions got masks and pictures that do not go together: {len(masks)} of {columns} x {rows} pixels, "
            f"and {len(pictures)} of {width} x {height}. Connect the pictures that the mask was made of."
        )
    return count
