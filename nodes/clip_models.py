"""Which CLIP models a workflow may name, and how one is loaded."""

from pathlib import Path

from ..api_core.models.catalog import EMBEDDED_CLIP, TRANSFORMERS_CLASSES, find_clip_model, list_clip_models
from ..api_core.models.clip import run_tower
from ..api_core.models.clip.load import load_clip
from ..api_core.progress import Progress
from . import host
from .model_choices import ModelChoices, read_configuration, require_precision
from .sockets import LoadedClip


def _holds_clip(folder: Path) -> bool:
    if (folder / "open_clip_config.json").is_file():
        return True
    return read_configuration(folder).get("model_type") in TRANSFORMERS_CLASSES


CHOICES: ModelChoices[LoadedClip] = ModelChoices(
    node="Load CLIP",
    home="models/clip_vision",
    embedded=EMBEDDED_CLIP,
    catalog=list_clip_models,
    find=find_clip_model,
    is_model=_holds_clip,
    load=load_clip,
    socket=LoadedClip,
)


def get_clip(name: str, precision: str, allow_download: bool, on_progress: Progress) -> LoadedClip:
    """The model of that name, from memory if any node still holds it."""
    require_precision(precision)
    precision = host.auto_precision() if precision == "auto" else precision
    return CHOICES.get_or_load(name, {"precision": precision}, allow_download, on_progress)


def activation_bytes(loaded: LoadedClip, pictures: int) -> int:
    """About what looking at so many pictures needs beside the weights."""
    model = loaded.model
    one = run_tower.picture_bytes(model.tower, model.side, model.side, model.dtype)
    return round(one * min(pictures, run_tower.DEVICE_BATCH) / run_tower.MEMORY_SHARE)
