"""Reading weights from disk, and refusing files that are cut short, unsafe or something else than they claim."""

import json
import zipfile
from pathlib import Path

from torch import Tensor

from ...errors import DamagedWeights, ModelNotFound, reason

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
WEIGHT_SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)


def check_safetensors(path: Path) -> None:
    """Raise DamagedWeights unless `path` is a whole safetensors file; reads its header only."""
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            if file.read(2) in (b"PK", b"\x80\x02", b"\x80\x04"):
                raise DamagedWeights(
                    f"{path} is a pickle under a safetensors name. Get the safetensors file of the model instead."
                )
        with safe_open(path, framework="pt"):
            pass
    except SafetensorError as error:
        raise DamagedWeights(
            f"{path} is damaged: it has {path.stat().st_size:,} bytes ({reason(error)}), as a download or a copy that "
            "broke off leaves it. Delete it and get it again."
        ) from error


def weight_files(folder: Path, stem: str = "model") -> list[Path]:
    """The safetensors files of a model folder, whole: `<stem>.safetensors`, or every shard its index names.

    An empty list means that there is no such model. Raises DamagedWeights for a file cut short and ModelNotFound for
    shards that are missing: part of a model is not a model.
    """
    single = folder / f"{stem}.safetensors"
    if single.is_file():
        check_safetensors(single)
        return [single]
    index = folder / f"{stem}.safetensors.index.json"
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise DamagedWeights(f"{index} does not list the model's files ({error!r}). Get it again.") from error
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelNotFound(f"{folder} holds part of a model only; missing: {', '.join(missing)}. Get these files too.")
    files = [folder / name for name in names]
    for file in files:
        check_safetensors(file)
    return files


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, on the CPU. Pickles are read as tensors only: code in them is refused, not run."""
    if not path.is_file():
        raise ModelNotFound(f"There is no weights file at {path}.")
    if path.suffix == ".safetensors":
        check_safetensors(path)
        from safetensors.torch import load_file

        return dict(load_file(path))
    if path.suffix not in PICKLE_SUFFIXES:
        raise DamagedWeights(f"{path} is no weights file: its name should end in {', '.join(WEIGHT_SUFFIXES)}.")
    return _read_pickle(path)


def _read_pickle(path: Path) -> dict[str, Tensor]:
    import torch

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise DamagedWeights(
                    f"{path} is a TorchScript program, as OpenAI first published its CLIPs, not a weights file. "
                    "Use the same model's safetensors file, which the catalog's entry names."
                )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to RuntimeError for bytes it cannot read
        reason = str(error).strip().split("\n")[0][:200]
        raise DamagedWeights(
            f"{path} cannot be read as tensors only: it is cut short, or holds code ({reason}). "
            "Get the model's safetensors file instead."
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DamagedWeights(f"{path} holds no table of tensors. Get the model's safetensors file instead.")
    return {name.removeprefix("module."): value for name, value in content.items()}
