"""Building transformers' CLIP and SigLIP models from a folder on this machine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ...errors import DamagedWeights, MissingPackage, ModelNotFound, UnsupportedModel
from ..files.weights import weight_files
from .picture_spec import OPENAI_MEAN, OPENAI_STD, PictureSpec, channels
from .quick_gelu import needs_quick_gelu, published_names

CONFIG_NAME = "config.json"
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL's numbers
HALF = (0.5, 0.5, 0.5)
CLASSES = {"clip": "CLIPModel", "metaclip_2": "MetaClip2Model", "siglip": "SiglipModel", "siglip2": "Siglip2Model"}
"""`model_type` of a configuration -> the class that is built."""

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
PATTERNS = (
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def is_complete(folder: Path) -> bool:
    """Whether `folder` is a whole transformers model; raises for one that is only part of one."""
    return (folder / CONFIG_NAME).is_file() and bool(weight_files(folder, "model"))


def model_type(folder: Path) -> str:
    """The `model_type` of a transformers folder's configuration, "" where it names none."""
    return str(_read_json(folder / CONFIG_NAME).get("model_type", ""))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DamagedWeights(f"{path} cannot be read ({error}). Get the file again.") from error
    if not isinstance(content, dict):
        raise DamagedWeights(f"{path} is no configuration: it holds a {type(content).__name__}. Get the file again.")
    return content


def build_from_folder(folder: Path, force_quick_gelu: bool = False) -> tuple[nn.Module, dict[str, Any]]:
    """The module of a transformers folder with its weights in float32, and its `preprocessor_config.json`."""
    try:
        import transformers
    except ImportError as error:
        raise MissingPackage("This model needs transformers. Install it with: pip install transformers") from error

    name = CLASSES.get(model_type(folder))
    if name is None:
        raise UnsupportedModel(
            f"{folder} holds a {model_type(folder) or 'nameless'} model. Only {', '.join(CLASSES)} have a picture "
            "tower and a text tower that can be read here."
        )
    kind = getattr(transformers, name, None)
    if kind is None:
        raise MissingPackage(f"This transformers has no {name}. Update it with: pip install -U transformers")
    if not is_complete(folder):
        raise ModelNotFound(f"{folder} holds {CONFIG_NAME} but no weights. Put model.safetensors beside it.")
    config = kind.config_class.from_pretrained(folder, local_files_only=True)
    if force_quick_gelu or needs_quick_gelu(*published_names(folder)):
        _require_quick_gelu(config, folder)
    try:
        module, report = kind.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            attn_implementation="sdpa",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported below, in words
        )
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DamagedWeights(f"{folder} cannot be loaded as {name}: {reason}") from error
    wrong = [*report.get("missing_keys", ()), *(entry[0] for entry in report.get("mismatched_keys", ()))]
    if wrong:
        raise DamagedWeights(
            f"The weights in {folder} do not belong to its configuration: {len(wrong)} tensors are missing or of "
            f"another shape, such as {wrong[0]}. Get both files of the same model."
        )
    path = folder / "preprocessor_config.json"
    return module.float().eval().requires_grad_(False), _read_json(path) if path.is_file() else {}


def _require_quick_gelu(config: Any, folder: Path) -> None:
    for tower in (config.vision_config, config.text_config):
        if tower.hidden_act != "quick_gelu":
            raise UnsupportedModel(
                f"{folder / CONFIG_NAME} asks for {tower.hidden_act!r}, but OpenAI's weights were trained with "
                'QuickGELU and give wrong maps without. Set "hidden_act": "quick_gelu" in both towers.'
            )


def make_tokenizer(folder: Path) -> Any:
    """The tokenizer that lies beside a transformers model's weights."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in TOKENIZER_FILES):  # newer versions make an empty one
        raise ModelNotFound(f"{folder} lacks the model's tokenizer. Put its tokenizer.json beside its weights.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelNotFound(
            f"The tokenizer in {folder} cannot be read ({reason}). Get its tokenizer files again."
        ) from error
    tokenizer.padding_side = "right"  # what every CLIP and SigLIP was trained with; Gemma's own default is left
    return tokenizer


def picture_spec(module: Any, preprocess: Mapping[str, Any]) -> PictureSpec:
    """How the model wants its pictures, from its `preprocessor_config.json`; CLIP's and SigLIP's own values without."""
    vision = module.config.vision_config
    siglip = "siglip" in module.config.model_type
    side = getattr(vision, "image_size", None)
    if side is None:  # a tower of any size says only how many patches it was trained with
        side = int(vision.num_patches**0.5) * vision.patch_size
    return PictureSpec(
        side=int(side),
        mean=channels(preprocess.get("image_mean"), HALF if siglip else OPENAI_MEAN),
        std=channels(preprocess.get("image_std"), HALF if siglip else OPENAI_STD),
        interpolation=_FILTERS.get(preprocess.get("resample", 3), "bicubic"),
        resize_mode="squash" if siglip else "shortest",
    )
