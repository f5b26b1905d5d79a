"""Bringing a vision-language model to its device with room for what it is to do, and what to say of its answers."""

from collections.abc import Sequence
from typing import Any

from ..api_core.answering.asking import AT_ONCE
from ..api_core.models.lvlm.model import LvlmModel
from ..api_core.models.server import ServerModel
from . import host
from .comfy_types import Cases
from .native.lvlm import NativeLvlm
from .sockets import LoadedLvlm

Answering = LoadedLvlm | Any
"""What a node is given: a model of Load LVLM, or a CLIP of ComfyUI's."""

BLENDS_AT_ONCE = 8
"""Room to ask ComfyUI for when gradients are wanted: more are hardly faster, and fewer work where there is less."""


def on_device(loaded: Answering, cases: Cases, max_new_tokens: int, passes: int = 1) -> LvlmModel | NativeLvlm:
    """Bring the model to its device, with room for as many of these cases as are answered at once.

    passes: how often a prompt is read and kept in memory.
    """
    if not isinstance(loaded, LoadedLvlm):
        return _native(loaded, cases, max_new_tokens)
    at_once = min(len(cases), AT_ONCE) * passes
    return host.on_device(loaded, loaded.model.estimate_memory(_most_pixels(cases), max_new_tokens) * at_once)


def on_device_with_gradients(loaded: Answering, cases: Cases, max_new_tokens: int) -> LvlmModel | NativeLvlm:
    """The same with room for answering one case, or for gradients through some blends of its picture at once."""
    if not isinstance(loaded, LoadedLvlm):
        return _native(loaded, cases, max_new_tokens)
    pixels = _most_pixels(cases)
    answering = loaded.model.estimate_memory(pixels, max_new_tokens)
    return host.on_device(loaded, max(answering, loaded.model.estimate_gradient_memory(pixels) * BLENDS_AT_ONCE))


def _native(clip: Any, cases: Cases, max_new_tokens: int) -> NativeLvlm:
    """An encoder that ComfyUI loaded. Its weights move as ComfyUI moves them."""
    model = NativeLvlm(clip)
    host.load_clip(clip, model.estimate_memory(_most_pixels(cases), max_new_tokens))
    return model


def doubts(model: LvlmModel | NativeLvlm | ServerModel) -> tuple[str, ...]:
    """What a person should know of a model that no node of this pack loaded."""
    return model.warnings if isinstance(model, NativeLvlm) else ()


def cut_off(complete: Sequence[bool], limit: int) -> list[str]:
    """Which answers, numbered from 1 where there are several, did not end by themselves."""
    cut = [str(number) for number, whole in enumerate(complete, 1) if not whole]
    which = f" ({', '.join(cut)} of {len(complete)})" if len(complete) > 1 else ""
    return [f"The answer was cut off at {limit} tokens{which}. Raise max_new_tokens for the rest."] if cut else []


def _most_pixels(cases: Cases) -> int:
    prompts = zip(cases.pictures, *cases.further, strict=True)
    return max(sum(picture.shape[0] * picture.shape[1] for picture in pictures) for pictures in prompts)
