"""The model that is kept between calls: the last one, a CLIP or a vision-language model; never two at once."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from ..models.catalog import TRANSFORMERS_CLASSES, find_clip_model, find_lvlm_model
from ..models.clip import ClipModel, open_clip_source, transformers_source
from ..models.clip.load import load_clip
from ..models.files.transformers_folder import CONFIG_NAME
from ..models.lvlm.load import load_lvlm
from ..models.lvlm.model import LvlmModel

# What decides which model is loaded, and what it is unless something else is given.
_USUAL: dict[str, Any] = {
    "precision": "auto",
    "device": "auto",
    "attention": "auto",
    "max_pixels": 0,
    "resize": "auto",
}

_lock = threading.Lock()
_cached: tuple[tuple[object, ...], ClipModel | LvlmModel] | None = None


def cached_clip(model: str | Path, **settings: Any) -> ClipModel:
    """The CLIP of the last call when it was the same, else a new one in its place. settings: of `load_clip`."""
    return cast(ClipModel, _cached_or("clip", model, load_clip, settings))


def cached_lvlm(model: str | Path, **settings: Any) -> LvlmModel:
    """The same of a vision-language model. settings: of `load_lvlm`."""
    return cast(LvlmModel, _cached_or("lvlm", model, load_lvlm, settings))


def cached_model(model: str | Path, *, allow_download: bool = False) -> ClipModel | LvlmModel:
    """Whichever of the two `model` names."""
    return (cached_lvlm if names_lvlm(model) else cached_clip)(model, allow_download=allow_download)


def names_lvlm(model: str | Path) -> bool:
    """Whether a name of the catalog, or a folder by what lies in it, is a vision-language model; else it is a CLIP."""
    if isinstance(model, str) and (find_clip_model(model) or find_lvlm_model(model)):
        return find_clip_model(model) is None
    folder = Path(model).expanduser()
    if (folder / open_clip_source.CONFIG_NAME).is_file() or not (folder / CONFIG_NAME).is_file():
        return False
    return transformers_source.model_type(folder) not in TRANSFORMERS_CLASSES


def _cached_or(
    kind: str, model: str | Path, load: Callable[..., ClipModel | LvlmModel], settings: dict[str, Any]
) -> ClipModel | LvlmModel:
    global _cached
    given = _USUAL | settings
    key = (kind, str(model), *(given[name] for name in _USUAL), *given.get("folders", ()))
    with _lock:
        if _cached is None or _cached[0] != key:
            _cached = None
            _cached = (key, load(model, **settings))
        return _cached[1]


def release() -> None:
    """Forget the model that is kept between calls, and give its memory back."""
    global _cached
    with _lock:
        _cached = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
