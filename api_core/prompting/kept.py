"""The model that is kept between calls: the last one, a CLIP or a vision-language model; never two at once."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import torch

from ..models.catalog import TRANSFORMERS_CLASSES, find_clip_model, find_lvlm_model
from ..models.clip import ClipModel, open_clip_source, transformers_source
from ..models.clip.load import load_clip
from ..models.files.transformers_folder import CONFIG_NAME
from ..models.lvlm.load import load_lvlm
from ..models.lvlm.model import LvlmModel

_Model = TypeVar("_Model", ClipModel, LvlmModel)

_lock = threading.Lock()
_kept: tuple[tuple[object, ...], ClipModel | LvlmModel] | None = None


def kept_clip(
    model: str | Path,
    *,
    precision: str = "auto",
    device: str = "auto",
    allow_download: bool = False,
    folders: Sequence[Path] = (),
) -> ClipModel:
    """The CLIP of the last call when it was the same, else a new one in its place."""

    def load() -> ClipModel:
        return load_clip(model, precision=precision, device=device, allow_download=allow_download, folders=folders)

    return _keep(("clip", str(model), precision, device, tuple(folders)), load)


def kept_lvlm(
    model: str | Path,
    *,
    precision: str = "auto",
    attention: str = "auto",
    max_pixels: int = 0,
    device: str = "auto",
    allow_download: bool = False,
    folders: Sequence[Path] = (),
) -> LvlmModel:
    """The vision-language model of the last call when it was the same, else a new one in its place."""

    def load() -> LvlmModel:
        return load_lvlm(
            model,
            precision=precision,
            attention=attention,
            max_pixels=max_pixels,
            device=device,
            allow_download=allow_download,
            folders=folders,
        )

    return _keep(("lvlm", str(model), precision, attention, max_pixels, device, tuple(folders)), load)


def kept_model(model: str | Path, *, allow_download: bool = False) -> ClipModel | LvlmModel:
    """Whichever of the two `model` names."""
    if names_lvlm(model):
        return kept_lvlm(model, allow_download=allow_download)
    return kept_clip(model, allow_download=allow_download)


def names_lvlm(model: str | Path) -> bool:
    """Whether a name of the catalog, or a folder by what lies in it, is a vision-language model; else it is a CLIP."""
    if isinstance(model, str) and (find_clip_model(model) or find_lvlm_model(model)):
        return find_clip_model(model) is None
    folder = Path(model).expanduser()
    if (folder / open_clip_source.CONFIG_NAME).is_file() or not (folder / CONFIG_NAME).is_file():
        return False
    return transformers_source.model_type(folder) not in TRANSFORMERS_CLASSES


def _keep(key: tuple[object, ...], load: Callable[[], _Model]) -> _Model:
    global _kept
    with _lock:
        if _kept is None or _kept[0] != key:
            _kept = None
            _kept = (key, load())
        return cast(_Model, _kept[1])


def release() -> None:
    """Forget the model that is kept between calls, and give its memory back."""
    global _kept
    with _lock:
        _kept = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
