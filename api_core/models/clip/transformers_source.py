"""Building transformers' CLIP and SigLIP models from a folder on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ...errors import DamagedWeights, MissingPackage, ModelNotFound, UnsupportedModel, quoted, reason
from ..catalog.clip import TRANSFORMERS_CLASSES, needs_quick_gelu
from ..files.local import published_names, read_json
from ..files.transformers_folder import (
    CONFIG_NAME,
    import_transformers,
    is_complete,
    require_all_weights,
    require_tokenizer,
)
from ..files.transformers_folder import PATTERNS as FOLDER_PATTERNS
from .picture_spec import OPENAI_MEAN, OPENAI_STD, PictureSpec, channels

_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL's numbers
HALF = (0.5, 0.5, 0.5)
PATTERNS = (*FOLDER_PATTERNS, "preprocessor_config.json", "tokenizer*.json")


def model_type(folder: Path) -> str:
    """The `model_type` of a transformers folder's configuration, "" where it names none."""
    return str(read_json(folder / CONFIG_NAME).get("model_type", ""))


def build_from_folder(folder: Path, force_quick_gelu: bool = False) -> tuple[nn.Module, dict[str, Any]]:
    """The module of a transformers folder with its weights in float32, and its `preprocessor_config.json`."""
    transformers = import_transformers()
    kind_name = model_type(folder)
    name = TRANSFORMERS_CLASSES.get(kind_name)
    if name is None:
        raise UnsupportedModel(
            f"{folder} holds a {kind_name or 'nameless'} model. Only {', '.join(TRANSFORMERS_CLASSES)} have a picture "
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
        raise DamagedWeights(f"{folder} cannot be loaded as {name}: {reason(error)}") from error
    require_all_weights(folder, report)
    path = folder / "preprocessor_config.json"
    return module.float().eval().requires_grad_(False), read_json(path) if path.is_file() else {}


def _require_quick_gelu(config: Any, folder: Path) -> None:
    for tower in (config.vision_config, config.text_config):
        if tower.hidden_act != "quick_gelu":
            raise UnsupportedModel(
                f"{folder / CONFIG_NAME} asks for {quoted(tower.hidden_act)}, but OpenAI's weights were trained with "
                'QuickGELU and give wrong maps without. Set "hidden_act": "quick_gelu" in both towers.'
            )


def make_tokenizer(folder: Path) -> Any:
    """The tokenizer that lies beside a transformers model's weights."""
    from transformers import AutoTokenizer

    require_tokenizer(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelNotFound(
            f"The tokenizer in {folder} cannot be read ({reason(error)}). Get its tokenizer files again."
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
