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
    """How to build one family. build: writes the complete folder.

    needs: names that transformers must have. modules: further packages that it asks for.
    """

    needs: tuple[str, ...]
    build: Callable[[Path], None]
    modules: tuple[str, ...] = ()


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


def image_processor(name: str, *, slow: bool = False, **settings: Any) -> Any:
    """An image processor of transformers by its class name: the torchvision one, which 4.x calls `…Fast`.

    slow: take the other one in 4.x, for processors that accept no fast one there.
    """
    import transformers

    old = int(transformers.__version__.split(".")[0]) < 5
    fast = getattr(transformers, f"{name}Fast", None) if old and not slow else None
    return (fast or getattr(transformers, name))(**settings)


def gains_about_zero(module: Any) -> None:
    """For norms that multiply by one plus their weight: take the one off that `randomise` has put there."""
    for part in module.modules():
        if type(part).__name__ in ("GemmaRMSNorm", "Gemma2RMSNorm", "Gemma3RMSNorm", "Qwen3_5RMSNorm"):
            part.weight -= 1.0


def _unspeakable(tokenizer: Any, end: str) -> list[int]:
    """Tokens that a random model had better not say: placeholders, other marks in brackets, bytes that are no text."""
    silent = []
    for token_id in range(len(tokenizer)):
        text = tokenizer.decode([token_id], skip_special_tokens=False)
        mark = text.startswith(("<", "[")) and text.endswith((">", "]")) and len(text) > 2
        if text != end and (mark or not text.isascii() or not text.isprintable() or not text):
            silent.append(token_id)
    return silent


def save(
    folder: Path,
    module: Any,
    vocabulary: Vocabulary,
    make_processor: Callable[[Any], Any],
    *,
    gain: float = 1.5,
    adjust: Callable[[Any], None] | None = None,
) -> None:
    """Give `module` random weights and write it with its tokenizer and processor.

    It never says the placeholders of pictures (an answer with them could not be put before the model again), and what
    it says is readable. make_processor: the family's processor from its loaded tokenizer. adjust: sets weights for
    which plain noise makes no sense, in place.
    """
    import torch
    from transformers import AutoTokenizer

    module.config.save_pretrained(folder)
    vocabulary.write(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    randomise(module, seed=11, gain=gain)
    head = module.get_output_embeddings().weight
    with torch.no_grad():
        if adjust is not None:
            adjust(module)
        head[_unspeakable(tokenizer, vocabulary.settings["eos_token"])] = 0.0
        if head is module.get_input_embeddings().weight:
            head *= 0.1  # else the last token's own embedding outweighs the layers and the model repeats it for ever
    module.generation_config.eos_token_id = vocabulary.id(vocabulary.settings["eos_token"])
    module.generation_config.pad_token_id = vocabulary.id(vocabulary.settings["pad_token"])
    module.save_pretrained(folder, safe_serialization=True)
    make_processor(tokenizer).save_pretrained(folder)
