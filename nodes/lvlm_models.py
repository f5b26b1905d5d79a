"""Which LVLMs a workflow may name, and how one is loaded."""

from collections.abc import Sequence
from pathlib import Path

from ..api_core.answering.asking import AT_ONCE
from ..api_core.choices import ATTENTIONS
from ..api_core.errors import InvalidInput
from ..api_core.models.catalog import EMBEDDED_LVLM, find_lvlm_model, list_lvlm_models
from ..api_core.models.lvlm.load import OWN_PRECISION, load_lvlm
from ..api_core.models.lvlm.model import LvlmModel
from ..api_core.progress import Progress
from . import host
from .comfy_types import Cases
from .model_choices import ModelChoices, read_configuration, require_precision
from .sockets import LoadedLvlm

BLENDS_AT_ONCE = 8
"""Room to ask ComfyUI for when gradients are wanted: more are hardly faster, and fewer work where there is less."""


def _holds_lvlm(folder: Path) -> bool:
    """A model that sees and writes, in transformers' layout; whether its attention can be read, loading it tells."""
    configuration = read_configuration(folder)
    classes = configuration.get("architectures") or []
    writes = any(str(name).endswith(("ForConditionalGeneration", "ForCausalLM")) for name in classes)
    return writes and "vision_config" in configuration


CHOICES: ModelChoices[LoadedLvlm] = ModelChoices(
    node="Load LVLM",
    home="models/LLM",
    embedded=EMBEDDED_LVLM,
    catalog=list_lvlm_models,
    find=find_lvlm_model,
    is_model=_holds_lvlm,
    load=load_lvlm,
    socket=LoadedLvlm,
)


def get_lvlm(
    name: str, precision: str, attention: str, max_pixels: int, allow_download: bool, on_progress: Progress
) -> LoadedLvlm:
    """The model of that name with these settings, from memory if any node still holds it."""
    require_precision(precision)
    if attention not in ATTENTIONS:
        raise InvalidInput(f"The attention must be one of {', '.join(ATTENTIONS)}, not {attention!r}.")
    if precision == "auto":  # by where the model will run, which is not where it is loaded
        precision = "fp32" if host.load_device().type == "cpu" else OWN_PRECISION
    settings = {"precision": precision, "attention": attention, "max_pixels": max_pixels}
    return CHOICES.get_or_load(name, settings, allow_download, on_progress)


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
