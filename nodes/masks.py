"""The node that makes masks of heatmaps."""

from comfy_api.latest import io

from ..api_core.geometry import INTERPOLATIONS
from ..api_core.masks import tune
from ..api_core.models.catalog import mask_defaults
from ..api_core.results import Heatmap
from . import convert, faces, host, sockets

MOST_CONTRAST = 50.0
MOST_SMOOTHING = 99
MOST_GROWTH = 512
WIDEST_EDGE = 512


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
                io.Float.Input(
                    "contrast",
                    default=-1.0,
                    min=-1.0,
                    max=MOST_CONTRAST,
                    step=0.5,
                    tooltip=(
                        "How sharply relevant and irrelevant part. Below 0: the model's own value; 1 is soft, "
                        "10 nearly black and white. 0: a flat map; of the decomposition, its second part alone."
                    ),
                ),
                io.Int.Input(
                    "smoothing",
                    default=0,
                    min=0,
                    max=MOST_SMOOTHING,
                    tooltip="Side of the averaging window. 0: the model's own value; 1: none; larger is smoother.",
                ),
                io.Combo.Input(
                    "interpolation",
                    options=list(INTERPOLATIONS),
                    default="lanczos",
                    advanced=True,
                    tooltip="How the patches are brought to the picture's size. nearest shows the patches themselves.",
                ),
                io.String.Input(
                    "words",
                    default="",
                    tooltip="Words of the query or answer, with commas between, used together. Empty: the whole.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="0: a soft mask. Above: what reaches this value becomes white, the rest black.",
                ),
                io.Int.Input(
                    "grow",
                    default=0,
                    min=-MOST_GROWTH,
                    max=MOST_GROWTH,
                    advanced=True,
                    tooltip="Widens the white parts by so many pixels; below 0 narrows them.",
                ),
                io.Boolean.Input(
                    "invert", default=False, advanced=True, tooltip="Swaps white and black: relevant becomes black."
                ),
                io.Combo.Input(
                    "smoothing_unit",
                    options=["patches", "pixels"],
                    default="patches",
                    advanced=True,
                    tooltip="What smoothing counts: patches, as in the paper, or pixels. The model's own (0): patches.",
                ),
                io.Int.Input(
                    "feather",
                    default=0,
                    min=0,
                    max=WIDEST_EDGE,
                    optional=True,  # prompts made before it was appended lack it
                    advanced=True,
                    tooltip="Width in pixels of a soft edge, after threshold and grow. 0: none.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    "mask",
                    display_name="mask",
                    tooltip="One mask per picture, at the picture's size, 0 to 1; white is relevant.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        heatmap: Heatmap,
        contrast: float,
        smoothing: int,
        interpolation: str,
        words: str,
        threshold: float,
        grow: int,
        invert: bool,
        smoothing_unit: str = "patches",
        feather: int = 0,
    ) -> io.NodeOutput:
        model, parts = (heatmap.pictures[0].model, heatmap.pictures[0].parts) if heatmap.pictures else ("", ())
        settings = mask_defaults(model, contrast if contrast >= 0 else None, smoothing or None, parts)
        tuned = tune(
            heatmap,
            contrast=settings.contrast,
            smoothing=settings.smoothing,
            interpolation=interpolation,
            words=convert.to_words(words),
            threshold=threshold,
            grow=grow,
            feather=feather,
            invert=invert,
            smoothing_unit=smoothing_unit if smoothing else "patches",  # the model's own width counts patches
        )
        host.warn(cls.hidden.unique_id, tuned.warnings)
        shown = {
            "contrast": contrast,
            "smoothing": smoothing,
            "interpolation": interpolation,
            "words": words,
            "threshold": threshold,
            "grow": grow,
            "invert": invert,
            "smoothing_unit": smoothing_unit,
            "feather": feather,
        }
        texts = {"text": tuned.warnings} if tuned.warnings else {}
        return io.NodeOutput(
            host.to_intermediate(convert.stacked(tuned.masks, "Masks")),
            ui={**texts, **faces.entry(heatmap=heatmap, settings=shown)},
        )


NODES: list[type[io.ComfyNode]] = [TuneMask]
