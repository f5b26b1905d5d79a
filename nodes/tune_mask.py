"""The node that makes masks of heatmaps."""

from typing import Any

from comfy_api.latest import io

from ..api_core.masks import MASK_SETTINGS, MaskSettings, tune
from ..api_core.results import Heatmap
from . import comfy_types, host, page, sockets, ui_files, widgets
from .entrance import checked


class TuneMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptTuneMask",
            display_name="Smooth & Enhance Mask",
            category=sockets.CATEGORY,
            description="Makes a mask of a heatmap: smooth, with contrast, as large as the picture; white is relevant.",
            search_aliases=[
                "attention prompting",
                "heatmap to mask",
                "smooth mask",
                "enhance contrast",
                "attention mask",
            ],
            inputs=[
                sockets.Heatmap.Input("heatmap", tooltip="From CLIP Heatmap, LVLM Heatmap or Combine Heatmaps."),
                *map(widgets.to_input, MASK_SETTINGS),
            ],
            outputs=[
                sockets.output(
                    io.Mask, "mask", "One mask per picture, at the picture's size, 0 to 1; white is relevant."
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(cls, heatmap: Heatmap, **said: Any) -> io.NodeOutput:
        settings = MaskSettings(**widgets.to_values(MASK_SETTINGS, said))
        tuned = tune(heatmap, settings)
        page.warn(cls.hidden.unique_id, tuned.warnings)
        batch = comfy_types.to_batch(tuned.masks, "Masks") if tuned.batch is None else tuned.batch
        shown = widgets.default_values(MASK_SETTINGS) | said
        together = settings.is_of_a_clip and len(tuned.masks) > 1
        texts = {"text": tuple(map(page.for_page, tuned.warnings))} if tuned.warnings else {}
        return io.NodeOutput(
            host.to_intermediate(batch),
            # The page measures one picture by itself: what was measured together it can only show.
            ui={**texts, **ui_files.ui_entry(heatmap=heatmap, masks=tuned.masks if together else (), settings=shown)},
        )
