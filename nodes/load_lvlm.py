"""The node that loads a vision-language model."""

from typing import Any

from comfy_api.latest import io

from ..api_core.choices import ATTENTIONS
from . import host, lvlm_models, model_choices, sockets


class LoadLVLM(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptLoadLVLM",
            display_name="Load LVLM (Attention Prompting)",
            category=sockets.CATEGORY,
            description=(
                "Loads a vision-language model that answers questions about pictures and shows its attention. "
                "Its memory is ComfyUI's: 'unload models' frees it, and two of these nodes share one model."
            ),
            search_aliases=["attention prompting", "load vlm", "llava", "qwen vl", "vision language model", "internvl"],
            inputs=[
                lvlm_models.CHOICES.input("Qwen3-VL-2B (4 GB) or a larger one"),
                model_choices.precision_input("on a GPU as the model was published, without one fp32."),
                io.Combo.Input(
                    "attention",
                    options=list(ATTENTIONS),
                    default="auto",
                    advanced=True,
                    tooltip="How attention is computed. auto: sdpa, PyTorch's own. flash needs its package and a GPU.",
                ),
                io.Int.Input(
                    "max_pixels",
                    default=0,
                    min=0,
                    max=2**26,
                    advanced=True,
                    tooltip=(
                        "For models that take any size: larger pictures are shrunk to so many pixels, which saves time "
                        "and memory. 0: the model's own limit."
                    ),
                ),
                model_choices.download_input(),
            ],
            outputs=[sockets.output(sockets.Lvlm, "lvlm", tooltip="The model, for LVLM Heatmap and Ask LVLM.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **_: Any) -> str:
        return "" if model is None else lvlm_models.CHOICES.fingerprint(model)

    @classmethod
    def execute(
        cls, model: str, precision: str, attention: str, max_pixels: int, allow_download: bool
    ) -> io.NodeOutput:
        on_progress = host.progress(cls.hidden.unique_id)
        return io.NodeOutput(lvlm_models.get_lvlm(model, precision, attention, max_pixels, allow_download, on_progress))
