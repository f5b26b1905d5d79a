"""What the pack's own sockets are called, and what travels on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from comfy_api.latest import io

from ..api_core.models.clip import ClipModel
from ..api_core.models.lvlm.model import LvlmModel

CATEGORY = "attention prompting"
MOST_FURTHER_IMAGES = 8

Clip = io.Custom("ATTNPROMPT_CLIP")
Lvlm = io.Custom("ATTNPROMPT_LVLM")
Server = io.Custom("ATTNPROMPT_SERVER")
Heatmap = io.Custom("ATTNPROMPT_HEATMAP")
Mapping = io.Custom("ATTNPROMPT_MAPPING")  # for each picture of a batch an `overlay.Mapping`, in a tuple

_Boxes = io.Custom("BOUNDING_BOX")

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


@dataclass(frozen=True, eq=False)
class PairedClip(LoadedClip):
    """The same of two models that ComfyUI loaded: their weights are where and how ComfyUI wants them.

    patcher: of the picture tower. text_patcher: of the text tower.
    """

    text_patcher: Any


class LoadedLvlm(Loaded[LvlmModel]):
    """What travels on an ATTNPROMPT_LVLM socket."""


CoreClip = io.Clip
"""A CLIP of ComfyUI's own loaders; one with eyes is read and asked where it lies."""
CoreClipVision = io.ClipVision
"""A CLIP_VISION of ComfyUI's own loaders."""


def model_input(name: str, kinds: Sequence[Any], tooltip: str) -> io.Input:
    """The input for a vision-language model: one of `kinds`, or an encoder that ComfyUI itself loaded."""
    says = "Or a CLIP of ComfyUI's own loaders that sees pictures, such as Qwen3-VL or Gemma 3."
    return io.MultiType.Input(name, types=[*kinds, CoreClip], tooltip=f"{tooltip} {says}")


def boxes_input(name: str, tooltip: str) -> Any:
    """An optional input for boxes that come over a wire; ComfyUI's own input of that type is a widget for one box."""
    return _Boxes.Input(name, optional=True, tooltip=tooltip, extra_dict={"forceInput": True})


def output(kind: Any, name: str, tooltip: str) -> Any:
    """An output that the page calls by its id."""
    return kind.Output(name, display_name=name, tooltip=tooltip)


def list_output(kind: Any, name: str, tooltip: str) -> Any:
    """The same for a list, of which what is connected gets one after the other."""
    return kind.Output(name, display_name=name, tooltip=tooltip, is_output_list=True)


def growing(name: str, socket: io.Input, least: int, most: int, tooltip: str, optional: bool = False) -> io.Input:
    """Sockets like the one given: a further one appears whenever the last is used."""
    template = io.Autogrow.TemplatePrefix(socket, prefix=socket.id, min=least, max=most)
    return io.Autogrow.Input(name, optional=optional, template=template, tooltip=tooltip)


def more_images(tooltip: str) -> io.Input:
    """The input for further pictures of one prompt."""
    says = "A further picture of the same prompt: one for each picture, or one for all."
    picture = io.Image.Input("more_image", optional=True, tooltip=says)
    return growing("more_images", picture, 0, MOST_FURTHER_IMAGES, tooltip, optional=True)
