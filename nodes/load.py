"""Nodes that load models."""

from typing import Any

from comfy_api.latest import io

from ..api_core.choices import ATTENTIONS, PRECISIONS
from ..api_core.errors import AttentionPromptingError
from ..api_core.models.catalog import EMBEDDED_CLIP, EMBEDDED_LVLM
from . import clip_models, host, lvlm_models, servers, sockets


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
                    options=clip_models.SHELF.names(),
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
        return "" if model is None else clip_models.SHELF.fingerprint(model)

    @classmethod
    def execute(cls, model: str, precision: str, allow_download: bool) -> io.NodeOutput:
        on_progress = host.progress(cls.hidden.unique_id)
        return io.NodeOutput(clip_models.get_clip(model, precision, allow_download, on_progress))


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
                io.Combo.Input(
                    "model",
                    options=lvlm_models.SHELF.names(),
                    default=EMBEDDED_LVLM,
                    tooltip=(
                        f"{EMBEDDED_LVLM} ships with the pack and knows drawn shapes only. For photographs choose "
                        "Qwen3-VL-2B (4 GB) or a larger one. Models in your model folders are listed last."
                    ),
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    advanced=True,
                    tooltip="How weights are kept. auto: on a GPU as the model was published, without one fp32.",
                ),
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
                sockets.Lvlm.Output("lvlm", display_name="lvlm", tooltip="The model, for LVLM Heatmap and Ask LVLM.")
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **_: Any) -> str:
        return "" if model is None else lvlm_models.SHELF.fingerprint(model)

    @classmethod
    def execute(
        cls, model: str, precision: str, attention: str, max_pixels: int, allow_download: bool
    ) -> io.NodeOutput:
        on_progress = host.progress(cls.hidden.unique_id)
        return io.NodeOutput(lvlm_models.get_lvlm(model, precision, attention, max_pixels, allow_download, on_progress))


class ConnectServer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptConnectServer",
            display_name="Connect LVLM Server",
            category=sockets.CATEGORY,
            description=(
                "Connects to a server that answers questions about pictures: vLLM, SGLang, Ollama, LM Studio, "
                "llama.cpp, OpenAI or any other with an OpenAI-compatible endpoint."
            ),
            search_aliases=["attention prompting", "openai", "ollama", "lm studio", "vllm", "sglang", "llama.cpp"],
            inputs=[
                io.Combo.Input(
                    "profile",
                    options=servers.names(),
                    tooltip=(
                        "Which server. A profile holds its address and where its key is; no workflow does. "
                        "The help page of this node says how to add one."
                    ),
                ),
                io.String.Input(
                    "model",
                    default="",
                    placeholder="The model's name on that server",
                    tooltip="The model to ask, as the server names it. Empty: the only one that it serves.",
                ),
            ],
            outputs=[
                sockets.Server.Output(
                    "server", display_name="server", tooltip="The server, for Ask LVLM; it has answers and no heatmaps."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, profile: str | None = None) -> bool | str:
        """In place of ComfyUI's own check, which would not say how to add a profile. None: it comes over a link."""
        try:
            return profile is None or bool(servers.find(profile))
        except AttentionPromptingError as error:
            return str(error)

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> str:
        return servers.fingerprint()

    @classmethod
    def execute(cls, profile: str, model: str) -> io.NodeOutput:
        return io.NodeOutput(servers.get_server(profile, model))


NODES: list[type[io.ComfyNode]] = [LoadCLIP, LoadLVLM, ConnectServer]
