"""Bringing a vision-language model to its device with room for what it is to do, and what to say of its answers."""

from collections.abc import Sequence

from ..api_core.answering.asking import AT_ONCE
from ..api_core.models.lvlm.model import LvlmModel
from . import host
from .comfy_types import Cases
from .sockets import LoadedLvlm

BLENDS_AT_ONCE = 8
"""Room to ask ComfyUI for when gradients are wanted: more are hardly faster, and fewer work where there is less."""


def on_device(loaded: LoadedLvlm, cases: Cases, max_new_tokens: int, passes: int = 1) -> LvlmModel:
    """Bring the model to its device, with room for as many of these cases as are answered at once.

    passes: how often a prompt is read and kept in memory.
    """
    at_once = min(len(cases), AT_ONCE) * passes
    return host.on_device(loaded, loaded.model.estimate_memory(_most_pixels(cases), max_new_tokens) * at_once)


def on_device_with_gradients(loaded: LoadedLvlm, cases: Cases, max_new_tokens: int) -> LvlmModel:
    """The same with room for answering one case, or for gradients through some blends of its picture at once."""
    pixels = _most_pixels(cases)
    answering = loaded.model.estimate_memory(pixels, max_new_tokens)
    return host.on_device(loaded, max(answering, loaded.model.estimate_gradient_memory(pixels) * BLENDS_AT_ONCE))


def cut_off(complete: Sequence[bool], limit: int) -> list[str]:
    """Which answers, numbered from 1 where there are several, did not end by themselves."""
    cut = [str(number) for number, whole in enumerate(complete, 1) if not whole]
    which = f" ({', '.join(cut)} of {len(complete)})" if len(complete) > 1 else ""
    return [f"The answer was cut off at {limit} tokens{which}. Raise max_new_tokens for the rest."] if cut else []


def _most_pixels(cases: Cases) -> int:
    prompts = zip(cases.pictures, *cases.further, strict=True)
    return max(sum(picture.shape[0] * picture.shape[1] for picture in pictures) for pictures in prompts)
