"""Which CLIP models a workflow may name, and the sharing of those in memory.

A workflow file is not trusted: it chooses a name from `model_names()`, never a path or a repository, and the name is
looked up again when the node runs, because values that arrive over a link were not checked against the list.
"""

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

from ..api_core.errors import InvalidInput
from ..api_core.models.catalog import EMBEDDED_CLIP, find_clip_model, list_clip_models
from ..api_core.models.clip import ClipModel, engine
from ..api_core.models.clip.load import load_clip
from ..api_core.models.download import forbid_downloads
from ..api_core.progress import Progress
from . import host
from .sockets import LoadedClip

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CLIP_FAMILIES = ("clip", "siglip", "siglip2")  # `model_type` in a transformers configuration
FOLDER_DEPTH = 2  # models/LLM/<maker>/<model>

# Weak values: a model lives as long as ComfyUI's node cache or a running node holds it, and not longer.
_loaded: weakref.WeakValueDictionary[tuple[str, str], LoadedClip] = weakref.WeakValueDictionary()


def model_names() -> list[str]:
    """Embedded models first, then the catalog, then what lies in the model folders as "kind/name"."""
    names = list_clip_models()
    first = [name for name in names if name == EMBEDDED_CLIP]
    return [*first, *(name for name in names if name != EMBEDDED_CLIP), *local_models()]


def local_models() -> dict[str, Path]:
    """CLIP models in ComfyUI's model folders, by the name a workflow gives them."""
    found: dict[str, Path] = {}
    for kind, folders in host.model_folders().items():
        for folder in folders:
            for path in sorted(_clip_folders(folder, FOLDER_DEPTH)):
                found.setdefault(f"{kind}/{path.relative_to(folder).as_posix()}", path)
    return found


def get_clip(name: str, precision: str, allow_download: bool, on_progress: Progress) -> LoadedClip:
    """The model of that name, from memory if any node still holds it."""
    source = find_source(name)
    if precision not in PRECISIONS:
        raise InvalidInput(f"The precision must be one of {', '.join(PRECISIONS)}, not {precision!r}.")
    precision = host.auto_precision() if precision == "auto" else precision
    key = (fingerprint(name), precision)
    loaded = _loaded.get(key)
    if loaded is None:
        loaded = host.hold(lambda: _load(source, precision, allow_download, on_progress))
        _loaded[key] = loaded
    return loaded


def _load(source: str | Path, precision: str, allow_download: bool, on_progress: Progress) -> ClipModel:
    folders = [folder for folders in host.model_folders().values() for folder in folders]
    forbid_downloads(host.downloads_forbidden(), by=f"the environment variable {host.NO_DOWNLOADS}")
    return load_clip(
        source,
        precision=precision,
        device=host.offload_device(),
        allow_download=allow_download,
        folders=folders,
        on_progress=on_progress,
    )


def find_source(name: str) -> str | Path:
    """What `load_clip` is given for a name from the list; any other name is refused."""
    entry = find_clip_model(name)
    if entry is not None:
        return entry.name
    path = local_models().get(name)
    if path is None:
        raise InvalidInput(
            f"There is no model {name!r} here. Choose one from the list of the Load CLIP node; to add your own, "
            "put its folder into ComfyUI's models/clip_vision and refresh the page."
        )
    return path


def fingerprint(name: str) -> str:
    """Changes when the files behind a name do."""
    source = find_source(name)
    if isinstance(source, str):
        return source
    files = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(source.iterdir()) if f.is_file()]
    return json.dumps([str(source), files])


def activation_bytes(loaded: LoadedClip, pictures: int) -> int:
    """About what looking at so many pictures needs beside the weights."""
    model = loaded.model
    one = engine.picture_bytes(model.tower, model.side, model.side, model.dtype)
    return round(one * min(pictures, engine.DEVICE_BATCH) / engine.MEMORY_SHARE)


def _clip_folders(folder: Path, depth: int) -> Iterator[Path]:
    try:
        children = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    except OSError:
        return
    for child in children:
        if _holds_clip(child):
            yield child
        elif depth > 1:
            yield from _clip_folders(child, depth - 1)


def _holds_clip(folder: Path) -> bool:
    if (folder / "open_clip_config.json").is_file():
        return True
    try:
        configuration = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(configuration, dict) and configuration.get("model_type") in CLIP_FAMILIES
