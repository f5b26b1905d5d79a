"""The node that brings what was found in a prompted picture or a crop back to the picture."""

import json
from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..api_core.errors import InvalidInput
from ..api_core.map_back import WaysBack, read_boxes, read_points
from ..api_core.overlay import Mapping
from ..api_core.pictures import as_masks
from . import comfy_types, host, sockets
from .entrance import checked

NOT_CONNECTED = (
    "Map Back has no {0} to bring back. Connect those of the prompted picture or the crops to its {0} input."
)


class MapBack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptMapBack",
            display_name="Map Back",
            category=sockets.CATEGORY,
            description=(
                "Brings boxes, points and masks that were found in a magnified picture, or in crops, back to where "
                "they lie in the picture itself."
            ),
            search_aliases=["attention prompting", "magnify", "uncrop", "unwarp", "boxes to original", "coordinates"],
            is_input_list=True,
            inputs=[
                io.MultiType.Input(
                    "mapping",
                    types=[sockets.Mapping, io.BoundingBox],
                    tooltip="What was shown: the mapping of Overlay Attention, or the bboxes that crops were cut by.",
                ),
                sockets.boxes_input(
                    "bboxes", "Boxes found in the prompted picture, or in each crop, such as a detector's."
                ),
                io.String.Input(
                    "points",
                    optional=True,
                    force_input=True,
                    tooltip="Points found there, as a JSON list of x and y, such as those of Find Regions.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Masks found there, of the same size as that picture or crop."
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The pictures that crops were cut from; needed for their masks only.",
                ),
            ],
            outputs=[
                sockets.output(io.BoundingBox, "bboxes", "For each picture the boxes as they lie in it."),
                sockets.list_output(io.String, "points", "For each picture its points, as a JSON list of x and y."),
                sockets.list_output(
                    io.Mask, "mask", "The mask of each picture; a batch where all pictures are of one size."
                ),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        mapping: Sequence[Any],
        bboxes: Sequence[Any] | None = None,
        points: Sequence[str] | None = None,
        mask: Sequence[Tensor] | None = None,
        image: Sequence[Tensor] | None = None,
    ) -> io.NodeOutput:
        if bboxes is None and points is None and mask is None:
            raise InvalidInput("Map Back has nothing to bring back. Connect bboxes, points or mask.")
        back = _ways_back(mapping, image or ())
        found = None if mask is None else back.masks([one for batch in mask for one in as_masks(batch)])
        return io.NodeOutput(
            host.blocked(NOT_CONNECTED.format("bboxes")) if bboxes is None else back.boxes(_frames(bboxes)),
            host.blocked(NOT_CONNECTED.format("points"))
            if points is None
            else [json.dumps(one) for one in back.points([read_points(text) for text in points])],
            host.blocked(NOT_CONNECTED.format("mask")) if found is None else _batches(found),
        )


def _ways_back(mapping: Sequence[Any], image: Sequence[Tensor]) -> WaysBack:
    """Mappings come as a tuple for each batch, everything else is boxes."""
    if all(isinstance(given, tuple) and all(isinstance(one, Mapping) for one in given) for given in mapping):
        return WaysBack.of_each([one for given in mapping for one in given])
    sizes = [(picture.shape[0], picture.shape[1]) for batch in image for picture in comfy_types.to_pictures(batch)]
    return WaysBack.of_crops(_frames(mapping), sizes)


def _frames(bboxes: Sequence[Any]) -> list[Any]:
    return [frame for given in bboxes for frame in read_boxes(given)]


def _batches(masks: Sequence[Tensor]) -> list[Tensor]:
    same = len({one.shape for one in masks}) == 1
    return [
        host.to_intermediate(batch) for batch in ([torch.stack(list(masks))] if same else [one[None] for one in masks])
    ]
