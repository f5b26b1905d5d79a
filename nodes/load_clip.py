"""The node that loads a CLIP."""

from typing import Any

from comfy_api.latest import io

from . import clip_models, host, model_choices, sockets


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
                clip_models.CHOICES.input("ViT-L-14-336/openai (1.7 GB, fetched once)"),
                model_choices.precision_input("fp16 where the GPU is good at it, else fp32."),
                model_choices.download_input(),
            ],
            outputs=[
                sockets.output(sockets.Clip, "clip", tooltip="The model, for CLIP Heatmap; it is no CLIP for prompts.")
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
