"""How a tiny model becomes a folder: random weights, and each file written by transformers itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..tiny import randomise
from .vocabulary import Vocabulary


@dataclass(frozen=True)
class Recipe:
    """How to build one family. needs: names that transformers must have. build: writes the complete folder."""

    needs: tuple[str, ...]
    build: Callable[[Path], None]


TEXT_SIZES: Mapping[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
"""A decoder with grouped keys: 4 layers, heads of 16 channels."""

VISION_SIZES: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}


def image_processor(name: str, **settings: Any) -> Any:
    """An image processor of transformers by its class name: the torchvision one, which 4.x calls `…Fast`."""
    import transformers

    old = int(transformers.__version__.split(".")[0]) < 5
    fast = getattr(transformers, f"{name}Fast", None) if old else None
    return (fast or getattr(transformers, name))(**settings)


def save(
    folder: Path,
    module: Any,
    vocabulary: Vocabulary,
    make_processor: Callable[[Any], Any],
    *,
    gain: float = 1.0,
    adjust: Callable[[Any], None] | None = None,
) -> None:
    """Give `module` random weights and write it with its tokenizer and processor.

    make_processor: the family's processor from its loaded tokenizer. adjust: sets weights for which plain noise makes
    no sense, in place.
    """
    import torch
    from transformers import AutoTokenizer

    randomise(module, seed=11, gain=gain)
    if adjust is not None:
        with torch.no_grad():
            adjust(module)
    module.generation_config.eos_token_id = vocabulary.id(vocabulary.settings["eos_token"])
    module.generation_config.pad_token_id = vocabulary.id(vocabulary.settings["pad_token"])
    module.save_pretrained(folder, safe_serialization=True)
    vocabulary.write(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    make_processor(tokenizer).save_pretrained(folder)
