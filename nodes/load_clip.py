"""The node that loads a CLIP."""

from typing import Any

from comfy_api.latest import io

from ..api_core.choices import PRECISIONS
from ..api_core.models.catalog import EMBEDDED_CLIP
from . import clip_models, host, sockets


class LoadCLIP(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptLoadCLIP",
            display_name="Load CLIP (Attention Prompting)",
            category=sockets.CATEGORY,
            description=(
                "Loads the auxiliary model that says which parts of a picture matter to a text. "
                "Its memory is ComfyUI's: 'unload models' frees it, and two of these nodes share one model."
            ),
            search_aliases=["attention prompting", "clip heatmap", "siglip", "open_clip", "visual prompting"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=clip_models.CHOICES.names(),
                    default=EMBEDDED_CLIP,
                    tooltip=(
                        f"{EMBEDDED_CLIP} ships with the pack and knows drawn shapes only. For photographs choose "
                        "ViT-L-14-336/openai (1.7 GB, fetched once). Models in your model folders are listed last."
                    ),
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    advanced=True,
                    tooltip="How weights are kept. auto: fp16 where the GPU is good at it, else fp32.",
                ),
                io.Boolean.Input(
                    "allow_download",
                    default=False,
                    tooltip=(
                        "Lets this node fetch the model from the Hugging Face hub when it is not on this machine. "
                        f"The environment variable {host.NO_DOWNLOADS}=1 forbids it for good."
                    ),
                ),
            ],
            outputs=[
                sockets.Clip.Output(
                    "clip",
                    display_name="clip",
                    tooltip="The model, for CLIP Heatmap; it is no CLIP for prompts.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **_: Any) -> str:
        return "" if model is None else clip_models.CHOICES.fingerprint(model)

    @classmethod
    def execute(cls, model: str, precision: str, allow_download: bool) -> io.NodeOutput:
        on_progress = host.progress(cls.hidden.unique_id)
        return io.NodeOutput(clip_models.get_clip(model, precision, allow_download, on_progress))
