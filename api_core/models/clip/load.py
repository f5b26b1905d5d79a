"""Loading a CLIP: by its name in the catalog, from a folder, or from a file."""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ...autograd import frozen
from ...errors import UnsupportedModel
from ...progress import Progress, ignore_progress
from ..catalog import ClipEntry, find_clip_model, list_clip_models
from ..devices import resolve_device, resolve_precision
from ..files.download import get_snapshot
from ..files.local import HubFiles, embedded_folder, existing_path
from ..files.transformers_folder import CONFIG_NAME
from ..files.weights import WEIGHT_SUFFIXES
from . import open_clip_source, transformers_source
from .model import SECOND_TO_LAST, ClipModel, Library, build_clip
from .picture_spec import PictureSpec

log = logging.getLogger(__name__)


def load_clip(
    model: str | Path,
    *,
    precision: str = "auto",
    device: str | torch.device = "auto",
    allow_download: bool = False,
    folders: Sequence[Path] = (),
    on_progress: Progress = ignore_progress,
) -> ClipModel:
    """Load a CLIP with all its weights, outside inference mode, so that gradients can pass it later.

    model: a name of the catalog (`list_clip_models()`), or the path of an open_clip folder, a transformers folder or a
    weights file. precision: fp32, bf16, fp16, or auto: fp32 on the CPU, fp16 elsewhere. device: auto takes a GPU where
    there is one. allow_download: get the weights of a catalog name that are not on this machine; folders: where to look
    for them before the hub's cache. on_progress: called with the bytes downloaded and those there are.
    """
    place = resolve_device(device)
    dtype = resolve_precision(precision, place)
    entry = find_clip_model(model) if isinstance(model, str) else None
    with frozen(), torch.random.fork_rng(devices=[]):
        if entry is None:
            loaded = _load_path(existing_path(model, "file or folder", list_clip_models()))
        else:
            loaded = _load_entry(entry, allow_download, folders, on_progress)
        loaded.module.requires_grad_(False).to(device=place, dtype=dtype)
    log.info("loaded %s on %s as %s", loaded.name, place, str(dtype).removeprefix("torch."))
    return loaded


def _load_entry(entry: ClipEntry, allow_download: bool, folders: Sequence[Path], on_progress: Progress) -> ClipModel:
    if entry.repo is None:
        return _open_clip_folder(embedded_folder(entry.name, open_clip_source.is_complete), entry.name, entry)
    file = single_file(entry, folders)
    if file is not None:
        return _open_clip_file(file, entry.name, entry)
    source: ModuleType
    if entry.source == "open_clip":
        open_clip_source.require_open_clip()
        source, load = open_clip_source, _open_clip_folder
    else:
        source, load = transformers_source, _transformers_folder
    folder = get_snapshot(
        HubFiles.of(entry, source.PATTERNS),
        is_complete=source.is_complete,
        folders=folders,
        allow_download=allow_download,
        on_progress=on_progress,
    )
    return load(folder, entry.name, entry)


def single_file(entry: ClipEntry, folders: Sequence[Path]) -> Path | None:
    """The weights of a catalog entry as one file in a model folder, called as the entry is."""
    if entry.source != "open_clip":
        return None
    stem = entry.name.replace("/", "-")
    candidates = (Path(folder) / f"{stem}{suffix}" for folder in folders for suffix in WEIGHT_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _load_path(path: Path) -> ClipModel:
    if path.is_file():
        return _open_clip_file(path, path.stem, None)
    if (path / open_clip_source.CONFIG_NAME).is_file():
        return _open_clip_folder(path, path.name, None)
    if (path / CONFIG_NAME).is_file():
        return _transformers_folder(path, path.name, None)
    raise UnsupportedModel(
        f"{path} holds neither {open_clip_source.CONFIG_NAME} (open_clip) nor {CONFIG_NAME} "
        "(transformers). Put the model's configuration beside its weights."
    )


def _open_clip_folder(folder: Path, name: str, entry: ClipEntry | None) -> ClipModel:
    built = open_clip_source.build_from_folder(folder, bool(entry and entry.quick_gelu))
    return _open_clip(*built, folder, name, entry)


def _open_clip_file(file: Path, name: str, entry: ClipEntry | None) -> ClipModel:
    architecture = None if entry is None else (entry.architecture, entry.pretrained)
    return _open_clip(*open_clip_source.build_from_file(file, architecture), file.parent, name, entry)


def _open_clip(
    module: Any, config: dict[str, Any], preprocess: dict[str, Any], folder: Path, name: str, entry: ClipEntry | None
) -> ClipModel:
    size = module.visual.image_size
    spec = PictureSpec.from_open_clip(preprocess, int(size[0] if isinstance(size, tuple | list) else size))
    return _build(module, "open_clip", name, spec, open_clip_source.make_tokenizer(folder, config), entry)


def _transformers_folder(folder: Path, name: str, entry: ClipEntry | None) -> ClipModel:
    module, preprocess = transformers_source.build_from_folder(folder, bool(entry and entry.quick_gelu))
    spec = transformers_source.picture_spec(module, preprocess)
    return _build(module, "transformers", name, spec, transformers_source.make_tokenizer(folder), entry)


def _build(
    module: nn.Module, library: Library, name: str, spec: PictureSpec, tokenizer: object, entry: ClipEntry | None
) -> ClipModel:
    layer = SECOND_TO_LAST if entry is None else entry.layer
    return build_clip(module, library=library, name=name, preprocess=spec, tokenize=tokenizer, default_layer=layer)
