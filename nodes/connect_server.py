"""The node that connects to a server, by its profile: that holds address and key, and no workflow does."""

import logging
from typing import Any

from comfy_api.latest import io

from ..api_core.errors import AttentionPromptingError, ModelNotFound
from ..api_core.models.server import PRESETS, Profile, connect, find_profile, list_profiles
from . import host, sockets, widgets
from .entrance import checked

logger = logging.getLogger(__name__)


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
                    options=profile_names(),
                    tooltip="Which server. A profile holds its address and where its key is; no workflow does. "
                    "The help page of this node says how to add one.",
                ),
                widgets.text(
                    "model",
                    "The model to ask, as the server names it. Empty: the only one that it serves.",
                    placeholder="The model's name on that server",
                ),
            ],
            outputs=[
                sockets.output(sockets.Server, "server", "The server, for Ask LVLM; it has answers and no heatmaps.")
            ],
        )

    @classmethod
    def validate_inputs(cls, profile: str | None = None) -> bool | str:
        """In place of ComfyUI's own check, which would not say how to add a profile. None: it comes over a link."""
        try:
            return profile is None or bool(find_profile_here(profile))
        except AttentionPromptingError as error:
            return str(error)

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> str:
        """Changes when the profiles do. Nothing of what is in them is part of it."""
        files = sorted(host.settings_folder().glob("*.json"))
        return ", ".join(f"{file.name} {file.stat().st_mtime_ns}" for file in files)

    @classmethod
    @checked
    def execute(cls, profile: str, model: str) -> io.NodeOutput:
        return io.NodeOutput(connect(find_profile_here(profile), model.strip()))


def profile_names() -> list[str]:
    """The profiles' names, the user's own first; a damaged file is told of when one is chosen, and hides no node."""
    try:
        return [known.name for known in list_profiles(host.settings_folder())]
    except AttentionPromptingError as error:
        logger.warning("%s", error)
        return list(PRESETS)


def find_profile_here(name: str) -> Profile:
    """The profile of that name; the error says how to add one."""
    folder = host.settings_folder()
    try:
        return find_profile(name, folder)
    except ModelNotFound as error:
        raise ModelNotFound(f"{error} ComfyUI's profiles lie in {folder}: --folder names it.") from None
