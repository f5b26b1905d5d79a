"""Building open_clip models from files on this machine."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...errors import DamagedWeights, MissingPackage, ModelNotFound, UnsupportedModel, reason
from ..catalog.clip import needs_quick_gelu
from ..files.local import HubFiles, find_in_cache, published_names
from ..files.weights import PICKLE_SUFFIXES, check_safetensors, read_state_dict, weight_files

log = logging.getLogger(__name__)

CONFIG_NAME = "open_clip_config.json"
MERGES_NAME = "merges.txt.gz"
PATTERNS = (
    CONFIG_NAME,
    "open_clip_model*.safetensors",
    "open_clip_model.safetensors.index.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)


def require_open_clip() -> Any:
    """The open_clip package, or an error that names the line that installs it."""
    try:
        import open_clip
    except ImportError as error:
        raise MissingPackage(
            "This model needs open_clip. Install it with: pip install open_clip_torch "
            "(transformers' CLIP and SigLIP folders work without it)."
        ) from error
    return open_clip


def is_complete(folder: Path) -> bool:
    """Whether `folder` is a whole open_clip model; raises for one that is only part of one."""
    return (folder / CONFIG_NAME).is_file() and _weights_of(folder) is not None


def _weights_of(folder: Path) -> Path | None:
    files = weight_files(folder, "open_clip_model")
    if files:
        return files[0]
    pickles = [folder / f"open_clip_pytorch_model{suffix}" for suffix in PICKLE_SUFFIXES]
    return next((path for path in pickles if path.is_file()), None)


def build_from_folder(folder: Path, force_quick_gelu: bool = False) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """The module of an open_clip folder with its weights, its `model_cfg` and its `preprocess_cfg`."""
    config = _read_config(folder / CONFIG_NAME)
    weights = _weights_of(folder)
    if weights is None:
        raise ModelNotFound(f"{folder} holds {CONFIG_NAME} but no weights. Put open_clip_model.safetensors beside it.")
    needed = force_quick_gelu or needs_quick_gelu(*published_names(folder))
    model_config = _with_quick_gelu(config["model_cfg"], needed, str(folder / CONFIG_NAME))
    return _build(model_config, weights), model_config, dict(config.get("preprocess_cfg", {}))


def _with_quick_gelu(model_config: Mapping[str, Any], needed: bool, where: str) -> dict[str, Any]:
    """An open_clip `model_cfg` whose activation fits its weights; a configuration that says otherwise is an error."""
    config = dict(model_config)
    if needed and config.get("quick_gelu") is False:
        raise UnsupportedModel(
            f"{where} asks for plain GELU, but its weights were trained with QuickGELU and give wrong maps without. "
            'Set "quick_gelu": true in its configuration, or remove the entry.'
        )
    if needed:
        config["quick_gelu"] = True
    return config


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model_config = config["model_cfg"]
        if not all(isinstance(model_config[key], dict) for key in ("vision_cfg", "text_cfg")):
            raise TypeError("vision_cfg and text_cfg must be tables")
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedWeights(f"{path} does not describe an open_clip model ({error!r}). Get the file again.") from error
    return dict(config)


def build_from_file(
    path: Path, known: tuple[str, str | None] | None = None
) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """The module of a single weights file, its `model_cfg` and its preprocessing.

    known: its architecture and tag; else its name tells them, else its tensors' shapes tell the architecture.
    """
    open_clip = require_open_clip()
    architecture, tag = known or _named_in(open_clip, path)
    if architecture is None:
        architecture = _shaped_like(open_clip, read_state_dict(path), path)
    preprocess = dict(open_clip.get_pretrained_cfg(architecture, tag) or {}) if tag else {}
    config = open_clip.get_model_config(architecture)
    needed = bool(preprocess.get("quick_gelu")) or needs_quick_gelu(tag, *published_names(path))
    config = _with_quick_gelu(config, needed, str(path))
    return _build(config, path), config, preprocess


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold())


def _named_in(open_clip: Any, path: Path) -> tuple[str | None, str | None]:
    """Architecture and tag that a file's name holds, the longest that fit; the hub's names of folders count too."""
    stem = f"-{_plain(path.stem)}-"
    found: list[tuple[int, str, str]] = []
    for architecture, tag in open_clip.list_pretrained():
        hub_name = _plain(
            (open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub") or "").rstrip("/").split("/")[-1]
        )
        if f"-{_plain(architecture)}-" in stem and f"-{_plain(tag)}-" in stem:
            found.append((len(architecture) + len(tag), architecture, tag))
        elif hub_name and f"-{hub_name}-" in stem:
            found.append((len(hub_name), architecture, tag))
    if not found:
        return None, None
    _, architecture, tag = max(found)
    return architecture, tag


def _shaped_like(open_clip: Any, state: Mapping[str, Tensor], path: Path) -> str:
    """The one architecture of open_clip that has exactly these tensors."""
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    embedding = shapes.get("token_embedding.weight") or shapes.get("text.token_embedding.weight")
    fitting = []
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        text = config["text_cfg"]
        if embedding and (text.get("vocab_size", 49408), text.get("width", 512)) != embedding:
            continue
        if "hf_model_name" in text or "timm_model_name" in config["vision_cfg"]:
            continue
        with _NoRandomWeights():
            module = _new_module(config, device="meta")
        if {key: tuple(value.shape) for key, value in module.state_dict().items()} == shapes:
            fitting.append(name)
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UnsupportedModel(
            f"{path} fits no architecture of open_clip. Put the model into a folder with its {CONFIG_NAME} instead."
        )
    raise UnsupportedModel(
        f"{path} fits {' and '.join(fitting)}, which differ in their activation only, and the wrong one gives wrong "
        f"maps. Name the file after its model, such as {fitting[0]}-openai.safetensors, or put it into a folder with "
        f"its {CONFIG_NAME}."
    )


def _build(model_config: Mapping[str, Any], weights: Path) -> nn.Module:
    open_clip = require_open_clip()
    with _NoRandomWeights():
        module = _new_module(_with_local_text_tower(model_config, weights.parent))
    if weights.suffix == ".safetensors":
        check_safetensors(weights)
    else:
        read_state_dict(weights)  # for its refusals: programs, code, files cut short
    _check_shapes(module, weights)
    try:
        open_clip.load_checkpoint(module, str(weights), strict=True, weights_only=True)
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        raise DamagedWeights(f"{weights} does not belong to the model it was taken for: {reason(error)}") from error
    return module.eval().requires_grad_(False)


def _with_local_text_tower(model_config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration, its transformers text tower named by a folder here: open_clip would ask the hub for it."""
    text = model_config["text_cfg"]
    name = text.get("hf_model_name")
    if not name:
        return dict(model_config)
    own = folder / name.rpartition("/")[2]
    found = own if _has_config(own) else find_in_cache(HubFiles(name, name), _has_config)
    if found is None:
        raise ModelNotFound(
            f"This model's text tower is described by {name}, which is not on this machine. Put config.json of {name} "
            f"into {own}."
        )
    return {**model_config, "text_cfg": {**text, "hf_model_name": str(found)}}


def _has_config(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _check_shapes(module: nn.Module, weights: Path) -> None:
    """open_clip stretches position tables of another size in silence; here another size is another model."""
    if weights.suffix != ".safetensors":
        return
    from safetensors import safe_open

    own = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    with safe_open(weights, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - not a dictionary
            shape = tuple(file.get_slice(name).get_shape())
            if name in own and own[name] != shape and own[name] not in ((), (1,)):
                raise DamagedWeights(
                    f"{weights} does not belong to the model it was taken for: {name} is {list(shape)} where the "
                    f"model has {list(own[name])}. Check the configuration beside it."
                )


def _new_module(model_config: Mapping[str, Any], device: str = "cpu") -> nn.Module:
    """An open_clip module of that configuration, its towers not loaded from anywhere."""
    open_clip = require_open_clip()
    config = json.loads(json.dumps(dict(model_config)))
    custom = config.pop("custom_text", False)
    if "timm_model_name" in config["vision_cfg"]:
        config["vision_cfg"]["timm_model_pretrained"] = False
    if "hf_model_name" in config["text_cfg"]:
        config["text_cfg"]["hf_model_pretrained"] = False
        custom = True
    kind = (
        open_clip.CoCa
        if custom and "multimodal_cfg" in config
        else open_clip.CustomTextCLIP
        if custom
        else open_clip.CLIP
    )
    try:
        with torch.device(device):
            return kind(**config)
    except (TypeError, AssertionError, RuntimeError, ValueError, ArithmeticError) as error:
        raise UnsupportedModel(
            f"open_clip cannot build this model: {error}. Update it: pip install -U open_clip_torch"
        ) from error


class _NoRandomWeights(TorchFunctionMode):
    """Leaves out the random start that loading overwrites: it takes seconds."""

    _skipped = frozenset({"normal_", "uniform_", "trunc_normal_", "erfinv_", "kaiming_uniform_", "xavier_uniform_"})

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") in self._skipped:
            return (kwargs or {}).get("tensor", args[0] if args else None)
        return function(*args, **(kwargs or {}))


def make_tokenizer(folder: Path, model_config: Mapping[str, Any]) -> Any:
    """The model's tokenizer, from the files beside its weights; open_clip's own vocabulary where it has none."""
    open_clip = require_open_clip()
    text = model_config["text_cfg"]
    context = int(text.get("context_length", 77))
    options = dict(text.get("tokenizer_kwargs", {}))
    if text.get("hf_tokenizer_name"):
        names = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model")
        if not any((folder / name).is_file() for name in names):
            raise ModelNotFound(
                f"{folder} lacks the model's tokenizer. Put tokenizer.json and tokenizer_config.json of "
                f"{text['hf_tokenizer_name']} beside its weights."
            )
        from open_clip.tokenizer import HFTokenizer

        mode = text.get("tokenizer_mode")
        return HFTokenizer(str(folder), context_length=context, tokenizer_mode=mode, local_files_only=True, **options)
    if (folder / MERGES_NAME).is_file():
        options["bpe_path"] = str(folder / MERGES_NAME)
    return open_clip.SimpleTokenizer(context_length=context, **options)
