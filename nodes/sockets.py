"""What the pack's own sockets are called, and what travels on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from comfy_api.latest import io

from ..api_core.models.clip import ClipModel

if TYPE_CHECKING:
    from ..api_core.models.lvlm import LvlmModel

CATEGORY = "attention prompting"

Clip = io.Custom("ATTNPROMPT_CLIP")
Lvlm = io.Custom("ATTNPROMPT_LVLM")
Server = io.Custom("ATTNPROMPT_SERVER")
Heatmap = io.Custom("ATTNPROMPT_HEATMAP")

Model = TypeVar("Model")


@dataclass(frozen=True, eq=False)
class Loaded(Generic[Model]):
    """A model whose memory is ComfyUI's.

    patcher: ComfyUI's handle on the weights; it knows a cached model by an attribute of this name. model: what runs
    them. The only strong references to the weights are these two, so they die with the node cache's entry.
    """

    patcher: Any
    model: Model


class LoadedClip(Loaded[ClipModel]):
    """What travels on an ATTNPROMPT_CLIP socket."""


class LoadedLvlm(Loaded["LvlmModel"]):
    """What travels on an ATTNPROMPT_LVLM socket."""
