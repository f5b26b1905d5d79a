"""What the pack's own sockets are called, and what travels on them."""

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io

from ..api_core.models.clip import ClipModel

CATEGORY = "attention prompting"

Clip = io.Custom("ATTNPROMPT_CLIP")
Heatmap = io.Custom("ATTNPROMPT_HEATMAP")


@dataclass(frozen=True, eq=False)
class LoadedClip:
    """What travels on an ATTNPROMPT_CLIP socket.

    patcher: ComfyUI's handle on the weights; it knows a cached model by an attribute of this name. model: what runs
    them. The only strong references to the weights are these two, so they die with the node cache's entry.
    """

    patcher: Any
    model: ClipModel
