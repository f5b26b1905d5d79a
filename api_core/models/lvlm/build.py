"""Building transformers' vision-language models from a folder on this machine, or saying why that cannot be done."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...choices import ATTENTIONS, RESIZES
from ...errors import DamagedWeights, MissingPackage, ModelNotFound, UnsupportedModel, reason, require_one_of
from ..files.local import read_json
from ..files.transformers_folder import (
    CONFIG_NAME,
    TOKENIZER_FILES,
    import_transformers,
    is_complete,
    require_all_weights,
    require_tokenizer,
)
from ..files.transformers_folder import PATTERNS as FOLDER_PATTERNS
from ..files.weights import weight_files

log = logging.getLogger(__name__)

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
PATTERNS = (
    *FOLDER_PATTERNS,
    "generation_config.json",
    "*processor_config.json",
    "tokenizer*",
    "spiece.model",
    "chat_template*",
    "qformer_tokenizer/*",
)
_TRANSFORMERS_ATTENTION = {"sdpa": "sdpa", "flash": "flash_attention_2"}
# For auto, transformers is told nothing: it takes SDPA wherever a model can.

_STORED = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_config(folder: Path) -> dict[str, Any]:
    """The model's `config.json`."""
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ModelNotFound(f"{folder} holds no {CONFIG_NAME}. Put the whole model folder there, as published.")
    return read_json(path)


def require_readable(folder: Path, config: dict[str, Any]) -> None:
    """Raise UnsupportedModel for a model that transformers itself, without code from the folder, cannot build here."""
    transformers = _transformers()
    kind = str(config.get("model_type") or "")
    version = transformers.__version__
    method = _quantisation(folder, config)
    if method:
        raise UnsupportedModel(
            f"The weights in {folder} are quantised ({method}). A host cannot move such weights between devices, and "
            "no gradient passes them, so they are not read. Use the model as published (bf16 or fp16), or ask it "
            "through a server."
        )
    if kind not in transformers.CONFIG_MAPPING:
        needs_code = " It brings code of its own, which is never run." if "auto_map" in config else ""
        raise UnsupportedModel(
            f"transformers {version} knows no model type {kind!r}, which {folder / CONFIG_NAME} names.{needs_code} "
            "Update transformers (pip install -U transformers), use the model's conversion for transformers (names "
            "that often end in -hf), or ask it through a server."
        )
    if transformers.CONFIG_MAPPING[kind] not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise UnsupportedModel(
            f"{folder} holds a {kind} model, which transformers {version} does not answer questions about pictures "
            "with. Choose a vision-language model, such as those of the catalog."
        )


def _quantisation(folder: Path, config: dict[str, Any]) -> str:
    """By which method the weights were quantised; "" for ordinary ones."""
    for part in (config, config.get("text_config") or {}):
        settings = part.get("quantization_config")
        if settings:
            return str(settings.get("quant_method") or "unnamed method") if isinstance(settings, dict) else "yes"
    if not list(folder.glob("model*.safetensors")):
        gguf = sorted(folder.glob("*.gguf"))
        if gguf:
            return f"GGUF: {gguf[0].name}"
    return ""


def checkpoint_dtype(folder: Path, config: dict[str, Any]) -> torch.dtype:
    """What the model was published in: what its configuration says, else what most of its weights are stored as."""
    text = config.get("text_config") or {}
    for part in (config, text):
        named = str(part.get("dtype") or part.get("torch_dtype") or "").removeprefix("torch.")
        if named in ("float32", "float16", "bfloat16"):
            return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[named]
    sizes: Counter[torch.dtype] = Counter()
    for file in weight_files(folder):
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        for name, entry in header.items():
            if name != "__metadata__" and entry["dtype"] in _STORED:
                sizes[_STORED[entry["dtype"]]] += entry["data_offsets"][1] - entry["data_offsets"][0]
    return sizes.most_common(1)[0][0] if sizes else torch.float32


def build_module(folder: Path, dtype: torch.dtype, attention: str) -> nn.Module:
    """The module of a complete folder on the CPU, its weights read once and straight into `dtype`."""
    transformers = _transformers()
    require_one_of(attention, ATTENTIONS, "attention")
    if not is_complete(folder):
        raise ModelNotFound(
            f"{folder} holds {CONFIG_NAME} but no weights as safetensors. Put model.safetensors, or all its parts with "
            "model.safetensors.index.json, beside it."
        )
    chosen = {} if attention == "auto" else {"attn_implementation": _TRANSFORMERS_ATTENTION[attention]}
    try:
        with _no_progress_bar():
            module, report = transformers.AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported below, in words
                **chosen,
            )
    except ImportError as error:
        raise MissingPackage(_no_attention(folder, attention, error)) from error
    except (RuntimeError, ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        if attention != "auto" and "attention" in str(error).casefold():
            raise UnsupportedModel(_no_attention(folder, attention, error)) from error
        raise DamagedWeights(f"{folder} cannot be loaded: {reason(error)}. Get the whole folder again.") from error
    require_all_weights(folder, report)
    _forget_sampling(module)
    return module.eval().requires_grad_(False)


def build_processor(folder: Path, resize: str = "auto") -> Any:
    """What turns pictures and text into the model's inputs; it pads on the left, as generating needs. resize: one of
    `RESIZES`."""
    transformers = _transformers()
    require_one_of(resize, RESIZES, "resize")
    require_tokenizer(folder)
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        raise ModelNotFound(
            f"{folder} lacks the model's picture processor. Put preprocessor_config.json and, where the model has it, "
            "processor_config.json beside its weights."
        )
    for name in ("tokenizer.json", "tokenizer_config.json", *PROCESSOR_FILES):
        if (folder / name).is_file():
            read_json(folder / name)  # transformers blames a missing package for a damaged file
    try:
        processor = transformers.AutoProcessor.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        if resize == "pil":
            processor.image_processor = _image_processor_of_pil(folder)
    except UnsupportedModel:
        raise
    except ImportError as error:
        raise MissingPackage(f"The processor in {folder} needs a package that is missing: {reason(error)}") from error
    except Exception as error:  # the library of fast tokenizers raises plain ones
        raise ModelNotFound(
            f"The tokenizer or picture processor in {folder} cannot be read ({reason(error)}). Get all JSON and "
            "tokenizer files of the model again."
        ) from error
    for part, files in (("tokenizer", TOKENIZER_FILES), ("image_processor", PROCESSOR_FILES)):
        if getattr(processor, part, None) is None:
            raise ModelNotFound(f"{folder} lacks the model's {part}: put its {' or '.join(files[:2])} there.")
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if not getattr(processor, "chat_template", None) and getattr(tokenizer, "chat_template", None):
        processor.chat_template = tokenizer.chat_template
    return processor


def _image_processor_of_pil(folder: Path) -> Any:
    """The part that sees to pictures, by Pillow alone."""
    transformers = _transformers()
    wanted = {"use_fast": False} if transformers.__version__.startswith("4.") else {"backend": "pil"}
    images = transformers.AutoImageProcessor.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False, **wanted
    )
    if type(images).__name__.endswith("Fast") or getattr(images, "backend", "pil") != "pil":
        raise UnsupportedModel(
            f"transformers {transformers.__version__} has no way to resize the pictures of {folder.name} by Pillow. "
            "Leave resize at auto."
        )
    return images


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """transformers' own bar off for a while: nothing is written to the terminal."""
    from transformers.utils import logging as theirs

    shown = theirs.is_progress_bar_enabled()
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            theirs.enable_progress_bar()


def _forget_sampling(module: Any) -> None:
    """Take out of the checkpoint's generation settings what belongs to sampling: it is chosen by the caller, and warned
    about by transformers when it stands beside greedy decoding. What shapes the scores themselves (a repetition
    penalty, forbidden tokens) is the model's own and stays.
    """
    from transformers import GenerationConfig

    settings, plain = module.generation_config, GenerationConfig()
    sampling = ("temperature", "top_p", "top_k", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")
    ways = (
        "do_sample",
        "num_beams",
        "num_beam_groups",
        "penalty_alpha",
        "cache_implementation",
        "num_return_sequences",
    )
    for name in (*sampling, *ways, "max_length", "max_new_tokens"):
        if hasattr(settings, name):
            setattr(settings, name, getattr(plain, name, None))


def _transformers() -> Any:
    transformers = import_transformers()
    if not hasattr(transformers, "AutoModelForImageTextToText"):
        raise MissingPackage(
            f"transformers {transformers.__version__} is too old. Update it with: pip install -U transformers"
        )
    return transformers


def _no_attention(folder: Path, attention: str, error: BaseException) -> str:
    hint = (
        "Flash attention needs a CUDA GPU and the package flash-attn. Choose attention auto."
        if attention == "flash"
        else "Choose attention auto."
    )
    return f"{folder} cannot be loaded with attention {attention}: {reason(error)}. {hint}"
