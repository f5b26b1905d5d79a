"""The node that makes one heatmap of several."""

from comfy_api.latest import io

from ..api_core.combine import COMBINE_MODES, combine
from ..api_core.errors import InvalidInput
from ..api_core.results import Heatmap
from ..api_core.scales import SCALES
from . import page, sockets, widgets
from .entrance import checked

MAX_HEATMAPS = 10


class CombineHeatmaps(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        says = "A heatmap of the same pictures, in the same order as the others."
        heatmap = sockets.Heatmap.Input("heatmap", tooltip=says)
        return io.Schema(
            node_id="AttnPromptCombineHeatmaps",
            display_name="Combine Heatmaps",
            category=sockets.CATEGORY,
            description="Makes one heatmap of several: of two queries, two models or two layers on the same pictures.",
            search_aliases=["attention prompting", "merge heatmaps", "contrast heatmaps", "blend attention maps"],
            inputs=[
                widgets.choice(
                    "mode",
                    COMBINE_MODES,
                    "mean: agreement counts. max: any of them is enough. product: only where all agree. contrast: the "
                    "first, minus the mean of the others.",
                ),
                widgets.choice(
                    "scale",
                    SCALES,
                    "How maps of different units are brought together first: z-score (spread), rank (order only), "
                    "min-max (each from 0 to 1).",
                    advanced=True,
                ),
                sockets.growing(
                    "heatmaps",
                    heatmap,
                    2,
                    MAX_HEATMAPS,
                    "Heatmaps of the same pictures; a further socket appears when the last one is used.",
                ),
            ],
            outputs=[sockets.output(sockets.Heatmap, "heatmap", "The result, on the finest grid of its sources.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(cls, mode: str, scale: str, heatmaps: dict[str, Heatmap] | None = None) -> io.NodeOutput:
        sources = [heatmap for heatmap in (heatmaps or {}).values() if heatmap is not None]
        if not sources:
            raise InvalidInput("Combine Heatmaps has nothing to combine. Connect at least two heatmaps.")
        combined = combine(sources, mode=mode, scale=scale)
        page.warn(cls.hidden.unique_id, combined.warnings)
        return io.NodeOutput(combined)
