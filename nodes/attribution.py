"""Nodes that ask a model where a text is in a picture, and that bring such answers together."""

from comfy_api.latest import io
from torch import Tensor

from ..api_core.attribution import METHODS, clip_heatmap
from ..api_core.choices import FITS, READINGS, Reading
from ..api_core.combine import COMBINE_MODES, combine
from ..api_core.errors import InvalidInput
from ..api_core.results import Heatmap
from ..api_core.scales import SCALES
from . import clip_models, convert, faces, host, sockets

MAX_HEATMAPS = 10


class CLIPHeatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptCLIPHeatmap",
            display_name="CLIP Heatmap",
            category=sockets.CATEGORY,
            description=(
                "Scores every patch of each picture for how much it matters to the query. "
                "The picture is encoded once: changing only the query is quick."
            ),
            search_aliases=["attention prompting", "attention map", "saliency", "relevance", "text to mask", "clip"],
            inputs=[
                sockets.Clip.Input("clip", tooltip="A model from Load CLIP (Attention Prompting)."),
                io.Image.Input("image", tooltip="One or more pictures; each gets its own map."),
                io.String.Input(
                    "query",
                    default="",
                    multiline=True,
                    placeholder="What to look for, or the question to be asked",
                    tooltip="What to look for: a thing, a phrase or a whole question. Each word gets a map as well.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default="decomposition",
                    advanced=True,
                    tooltip=" ".join(f"{method.name}: {method.describes}" for method in METHODS.values()),
                ),
                io.String.Input(
                    "layer",
                    default="auto",
                    advanced=True,
                    tooltip=(
                        "The block of the model that is read: auto (the model's own), or a whole number; negative "
                        "numbers count from the end. Earlier is broader, later is sharper."
                    ),
                ),
                io.Combo.Input(
                    "reading",
                    options=list(READINGS),
                    default="precise",
                    advanced=True,
                    tooltip=(
                        "precise: the map lies where the model looked. upstream: the numbers of the paper's published "
                        "code, its rough edges included. Smooth & Enhance Mask follows it."
                    ),
                ),
                io.Combo.Input(
                    "fit",
                    options=["auto", *FITS],
                    default="auto",
                    advanced=True,
                    tooltip=(
                        "How a picture that is not square is shown to the model: auto (the model's own), stretch, "
                        "letterbox (bars), crops (several overlapping views, slower), center (the middle only)."
                    ),
                ),
                io.String.Input(
                    "neutral_text",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "A text that says nothing in particular, such as 'a photo'. Its map is taken away from the "
                        "query's, which removes what lights up for any query. Empty: off."
                    ),
                ),
            ],
            outputs=[
                sockets.Heatmap.Output(
                    "heatmap",
                    display_name="heatmap",
                    tooltip="Raw scores per patch, for the whole query and each word; for Smooth & Enhance Mask.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        clip: sockets.LoadedClip,
        image: Tensor,
        query: str,
        method: str,
        layer: str,
        reading: Reading,
        fit: str,
        neutral_text: str = "",
    ) -> io.NodeOutput:
        pictures = convert.to_pictures(image)
        heatmap = clip_heatmap(
            host.on_device(clip, clip_models.activation_bytes(clip, len(pictures))),
            pictures,
            query,
            method=method,
            layer=convert.to_layer(layer),
            reading=reading,
            fit=None if fit == "auto" else fit,
            neutral_text=neutral_text.strip() or None,
            on_progress=host.progress(cls.hidden.unique_id),
        )
        host.warn(cls.hidden.unique_id, heatmap.warnings)
        return io.NodeOutput(heatmap, ui=faces.entry(heatmap=heatmap, pictures=pictures))


class CombineHeatmaps(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptCombineHeatmaps",
            display_name="Combine Heatmaps",
            category=sockets.CATEGORY,
            description="Makes one heatmap of several: of two queries, two models or two layers on the same pictures.",
            search_aliases=["attention prompting", "merge heatmaps", "contrast heatmaps", "blend attention maps"],
            inputs=[
                io.Combo.Input(
                    "mode",
                    options=list(COMBINE_MODES),
                    default="mean",
                    tooltip=(
                        "mean: agreement counts. max: any of them is enough. product: only where all agree. "
                        "contrast: the first, minus the mean of the others."
                    ),
                ),
                io.Combo.Input(
                    "scale",
                    options=list(SCALES),
                    default="z-score",
                    advanced=True,
                    tooltip=(
                        "How maps of different units are brought together first: z-score (spread), rank (order only), "
                        "min-max (each from 0 to 1)."
                    ),
                ),
                io.Autogrow.Input(
                    "heatmaps",
                    template=io.Autogrow.TemplatePrefix(
                        sockets.Heatmap.Input(
                            "heatmap", tooltip="A heatmap of the same pictures, in the same order as the others."
                        ),
                        prefix="heatmap",
                        min=2,
                        max=MAX_HEATMAPS,
                    ),
                    tooltip="Heatmaps of the same pictures; a further socket appears when the last one is used.",
                ),
            ],
            outputs=[
                sockets.Heatmap.Output(
                    "heatmap",
                    display_name="heatmap",
                    tooltip="The result, on the finest grid of its sources.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, mode: str, scale: str, heatmaps: dict[str, Heatmap] | None = None) -> io.NodeOutput:
        sources = [heatmap for heatmap in (heatmaps or {}).values() if heatmap is not None]
        if not sources:
            raise InvalidInput("Combine Heatmaps has nothing to combine. Connect at least two heatmaps.")
        combined = combine(sources, mode=mode, scale=scale)
        host.warn(cls.hidden.unique_id, combined.warnings)
        return io.NodeOutput(combined)


NODES: list[type[io.ComfyNode]] = [CLIPHeatmap, CombineHeatmaps]
