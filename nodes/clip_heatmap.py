"""The node that asks a CLIP where a text is in a picture."""

from comfy_api.latest import io
from torch import Tensor

from ..api_core.attribution import clip_heatmap
from ..api_core.choices import CLIP_METHODS, FITS, Reading
from ..api_core.models.clip import run_tower
from ..api_core.presence_score import presence
from ..api_core.settings import EVERY
from . import comfy_types, host, page, sockets, ui_files, widgets
from .entrance import checked


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
                sockets.Clip.Input(
                    "clip", tooltip="A model from Load CLIP (Attention Prompting) or Pair CLIP Vision and CLIP."
                ),
                io.Image.Input("image", tooltip="One or more pictures; each gets its own map."),
                widgets.text(
                    "query",
                    "What to look for: a thing, a phrase or a whole question. Each word gets a map as well.",
                    multiline=True,
                    placeholder="What to look for, or the question to be asked",
                ),
                widgets.choice("method", CLIP_METHODS, widgets.described(CLIP_METHODS), advanced=True),
                widgets.text(
                    "layer",
                    "The block of the model that is read: auto (the model's own), or a whole number; negative numbers "
                    "count from the end. Earlier is broader, later is sharper.",
                    default="auto",
                    advanced=True,
                ),
                widgets.reading("the model looked"),
                widgets.choice(
                    "fit",
                    ("auto", *FITS),
                    "How a picture that is not square is shown to the model: auto (the model's own), stretch, "
                    "letterbox (bars), crops (several overlapping views, slower), center (the middle only).",
                    advanced=True,
                ),
                widgets.text(
                    "neutral_text",
                    "A text that says nothing in particular, such as 'a photo'. Its map is taken away from the "
                    "query's, which removes what lights up for any query. Empty: off.",
                    optional=True,
                    advanced=True,
                ),
                widgets.to_input(EVERY),
            ],
            outputs=[
                sockets.output(
                    sockets.Heatmap,
                    "heatmap",
                    "Raw scores per patch, for the whole query and each word; for Smooth & Enhance Mask.",
                ),
                sockets.list_output(
                    io.Float,
                    "presence",
                    "Whether it is there at all, for each picture: how far the query stands out among 32 things that "
                    "nobody asked for. About 0 or below: no more than they. A guide, not a probability.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
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
        every: int = EVERY.default,
    ) -> io.NodeOutput:
        pictures = comfy_types.to_pictures(image)
        heatmap = clip_heatmap(
            host.on_device(clip, activation_bytes(clip, len(pictures))),
            pictures,
            query,
            method=method,
            layer=comfy_types.to_layer(layer),
            reading=reading,
            fit=None if fit == "auto" else fit,
            neutral_text=neutral_text.strip() or None,
            on_progress=page.NodeProgress(cls.hidden.unique_id),
            every=every,
        )
        page.warn(cls.hidden.unique_id, heatmap.warnings)
        return io.NodeOutput(heatmap, presence(heatmap), ui=ui_files.ui_entry(heatmap=heatmap, pictures=pictures))


def activation_bytes(loaded: sockets.LoadedClip, pictures: int) -> int:
    """About what looking at so many pictures needs beside the weights."""
    model = loaded.model
    one = run_tower.picture_bytes(model.tower, model.side, model.side, model.dtype)
    return round(one * min(pictures, run_tower.DEVICE_BATCH) / run_tower.MEMORY_SHARE)
