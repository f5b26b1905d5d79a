"""Loading a vision-language model: by its name in the catalog, or from a folder."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from ...autograd import frozen
from ...errors import InvalidInput, require_one_of
from ...progress import Progress, ignore_progress
from ..catalog import LvlmEntry, find_lvlm_model, list_lvlm_models
from ..devices import DTYPES, resolve_device
from ..files.download import get_snapshot
from ..files.local import HubFiles, embedded_folder, existing_path
from ..files.transformers_folder import is_complete
from . import build
from .model import LvlmModel, build_lvlm

log = logging.getLogger(__name__)

OWN_PRECISION = "checkpoint"


def load_lvlm(
    model: str | Path,
    *,
    precision: str = "auto",
    attention: str = "auto",
    max_pixels: int = 0,
    resize: str = "auto",
    device: str | torch.device = "auto",
    allow_download: bool = False,
    folders: Sequence[Path] = (),
    on_progress: Progress = ignore_progress,
) -> LvlmModel:
    """Load a vision-language model with all its weights, outside inference mode, so that gradients can pass it later.

    model: a name of the catalog (`list_lvlm_models()`), or the path of a transformers folder with safetensors; code in
    it is never run. precision: fp32, bf16, fp16, "checkpoint" for what the model was published in, or auto: the same on
    a GPU, fp32 on the CPU. attention: auto (SDPA where the model can), sdpa or flash. max_pixels: larger pictures are
    shrunk to so many, 0 for the model's own limit. resize: how pictures are brought to the model's size, auto as
    transformers does or pil as Pillow does, like published code. device: auto takes a GPU where there is one.
    allow_download: get the weights of a catalog name that are not on this machine; folders: where to look for them
    before the hub's cache. on_progress: called with the bytes downloaded and those there are.
    """
    place = resolve_device(device)
    precisions = ("auto", OWN_PRECISION, *DTYPES)
    require_one_of(precision, precisions, "precision")
    if max_pixels < 0:
        raise InvalidInput(f"max_pixels must be 0 (the model's own limit) or more, not {max_pixels}.")
    entry = find_lvlm_model(model) if isinstance(model, str) else None
    folder = _existing(model) if entry is None else _entry_folder(entry, allow_download, folders, on_progress)
    with frozen(), torch.random.fork_rng(devices=[]):
        config = build.read_config(folder)
        build.require_readable(folder, config)
        own = build.checkpoint_dtype(folder, config)
        dtype = resolve_lvlm_precision(precision, place, own)
        processor = build.build_processor(folder, resize)
        module = build.build_module(folder, dtype, attention)
        name = folder.name if entry is None else entry.name
        loaded = build_lvlm(module, processor, name=name, entry=entry, max_pixels=max_pixels)
        if dtype == torch.float16 and own == torch.bfloat16:
            loaded.warn(
                f"{name} was trained in bf16 and may overflow in fp16: empty or garbled answers. Choose bf16 or fp32."
            )
        module.to(place)
    log.info("loaded %s on %s as %s", loaded.name, place, str(dtype).removeprefix("torch."))
    return loaded


def resolve_lvlm_precision(precision: str, device: torch.device, own: torch.dtype) -> torch.dtype:
    """The number format of that name, for a model published in `own`; "auto" is that on a GPU, and fp32 on the CPU.

    A GPU keeps the checkpoint's numbers: more precision costs memory that large models do not leave, and fp16 overflows
    in models that were trained in bf16. The CPU has the memory, is no quicker in half precision, and attention maps
    lose a twelfth of their range in bf16 (0.08 after min-max) and a fiftieth in fp16.
    """
    if precision == OWN_PRECISION or (precision == "auto" and device.type != "cpu"):
        return own
    return torch.float32 if precision == "auto" else DTYPES[precision]


def _existing(model: str | Path) -> Path:
    path = existing_path(model, "folder", list_lvlm_models())
    if path.is_file():
        raise InvalidInput(
            f"{path} is a file. Give the model's folder: weights, configuration, tokenizer and processor together."
        )
    return path


def _entry_folder(entry: LvlmEntry, allow_download: bool, folders: Sequence[Path], on_progress: Progress) -> Path:
    if entry.repo is None:
        return embedded_folder(entry.name, is_complete)
    return get_snapshot(
        HubFiles.of(entry, build.PATTERNS),
        is_complete=is_complete,
        folders=folders,
        allow_download=allow_download,
        on_progress=on_progress,
    )
