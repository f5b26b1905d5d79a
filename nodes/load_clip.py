"""The node that loads a CLIP."""

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..api_core.models.catalog import EMBEDDED_CLIP, TRANSFORMERS_CLASSES, find_clip_model, list_clip_models
from ..api_core.models.clip.load import load_clip
from . import host, page, sockets
from .entrance import checked
from .model_choices import ModelChoices, download_input, precision_input, read_configuration, require_precision


def _holds_clip(folder: Path) -> bool:
    if (folder / "open_clip_config.json").is_file():
        return True
    return read_configuration(folder).get("model_type") in TRANSFORMERS_CLASSES


CHOICES: ModelChoices[sockets.LoadedClip] = ModelChoices(
    node="Load CLIP",
    home="models/clip_vision",
    embedded=EMBEDDED_CLIP,
    catalog=list_clip_models,
    find=find_clip_model,
    is_model=_holds_clip,
    load=load_clip,
    socket=sockets.LoadedClip,
)


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
                CHOICES.input("ViT-L-14-336/openai (1.7 GB, fetched once)"),
                precision_input("fp16 where the GPU is good at it, else fp32."),
                download_input(),
            ],
            outputs=[sockets.output(sockets.Clip, "clip", "The model, for CLIP Heatmap; it is no CLIP for prompts.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **_: Any) -> str:
        return "" if model is None else CHOICES.fingerprint(model)

    @classmethod
    @checked
    def execute(cls, model: str, precision: str, allow_download: bool) -> io.NodeOutput:
        require_precision(precision)
        settings = {"precision": host.auto_precision() if precision == "auto" else precision}
        on_progress = page.NodeProgress(cls.hidden.unique_id)
        return io.NodeOutput(CHOICES.get_or_load(model, settings, allow_download, on_progress))
