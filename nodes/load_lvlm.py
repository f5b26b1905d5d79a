"""The node that loads a vision-language model."""

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..api_core.choices import ATTENTIONS
from ..api_core.errors import InvalidInput, quoted
from ..api_core.models.catalog import EMBEDDED_LVLM, find_lvlm_model, list_lvlm_models
from ..api_core.models.lvlm.load import OWN_PRECISION, load_lvlm
from . import host, page, sockets, widgets
from .entrance import checked
from .model_choices import ModelChoices, download_input, precision_input, read_configuration, require_precision


def _holds_lvlm(folder: Path) -> bool:
    """A model that sees and writes, in transformers' layout; whether its attention can be read, loading it tells."""
    configuration = read_configuration(folder)
    classes = configuration.get("architectures") or []
    writes = any(str(name).endswith(("ForConditionalGeneration", "ForCausalLM")) for name in classes)
    return writes and "vision_config" in configuration


CHOICES: ModelChoices[sockets.LoadedLvlm] = ModelChoices(
    node="Load LVLM",
    home="models/LLM",
    embedded=EMBEDDED_LVLM,
    catalog=list_lvlm_models,
    find=find_lvlm_model,
    is_model=_holds_lvlm,
    load=load_lvlm,
    socket=sockets.LoadedLvlm,
)


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
                CHOICES.input("Qwen3-VL-2B (4 GB) or a larger one"),
                precision_input("on a GPU as the model was published, without one fp32."),
                widgets.choice(
                    "attention",
                    ATTENTIONS,
                    "How attention is computed. auto: sdpa, PyTorch's own. flash needs its package and a GPU.",
                    advanced=True,
                ),
                widgets.number(
                    "max_pixels",
                    0,
                    (0, 2**26),
                    "For models that take any size: larger pictures are shrunk to so many pixels, which saves time and "
                    "memory. 0: the model's own limit.",
                    advanced=True,
                ),
                download_input(),
            ],
            outputs=[sockets.output(sockets.Lvlm, "lvlm", "The model, for LVLM Heatmap and Ask LVLM.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **_: Any) -> str:
        return "" if model is None else CHOICES.fingerprint(model)

    @classmethod
    @checked
    def execute(
        cls, model: str, precision: str, attention: str, max_pixels: int, allow_download: bool
    ) -> io.NodeOutput:
        require_precision(precision)
        if attention not in ATTENTIONS:
            raise InvalidInput(f"The attention must be one of {', '.join(ATTENTIONS)}, not {quoted(attention)}.")
        if precision == "auto":  # by where the model will run, which is not where it is loaded
            precision = "fp32" if host.load_device().type == "cpu" else OWN_PRECISION
        settings = {"precision": precision, "attention": attention, "max_pixels": max_pixels}
        on_progress = page.NodeProgress(cls.hidden.unique_id)
        return io.NodeOutput(CHOICES.get_or_load(model, settings, allow_download, on_progress))
