"""What transformers' models have in common as folders on this machine, whatever they are for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DamagedWeights, MissingPackage, ModelNotFound
from .weights import weight_files

CONFIG_NAME = "config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json")
PATTERNS = (
    CONFIG_NAME,
    "model*.safetensors",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def import_transformers() -> Any:
    """The transformers package, or an error that names the line that installs it."""
    try:
        import transformers
    except ImportError as error:
        raise MissingPackage("This model needs transformers. Install it with: pip install transformers") from error
    return transformers


def is_complete(folder: Path) -> bool:
    """Whether `folder` is a whole transformers model; raises for one that is only part of one."""
    return (folder / CONFIG_NAME).is_file() and bool(weight_files(folder))


def require_tokenizer(folder: Path) -> None:
    """Raise ModelNotFound where the model's tokenizer is missing, of which newer versions would make an empty one."""
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelNotFound(
            f"{folder} lacks the model's tokenizer. Put tokenizer.json and tokenizer_config.json beside its weights."
        )


def require_all_weights(folder: Path, report: Mapping[str, Any]) -> None:
    """Raise DamagedWeights where a model was made with other weights than those of its folder.

    report: the loading info of `from_pretrained` with ignore_mismatched_sizes.
    """
    wrong = [*report.get("missing_keys", ()), *(entry[0] for entry in report.get("mismatched_keys", ()))]
    if wrong:
        raise DamagedWeights(
            f"The weights in {folder} do not belong to its configuration: {len(wrong)} tensors are missing or of "
            f"another shape, such as {wrong[0]}. Get both files of the same model."
        )
