"""Qwen2-VL, Qwen2.5-VL: flattened patches in blocks of the merger, three-dimensional rotary positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .saving import TEXT_SIZES, Recipe, image_processor, save
from .vocabulary import Vocabulary, byte_level

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def vocabulary_of_qwen(*more: str) -> Vocabulary:
    """Qwen's tokenizer; more: special tokens after the usual ones."""
    return byte_level((*SPECIAL, *more), end="<|im_end|>", pad="<|endoftext|>", class_name="Qwen2TokenizerFast")


def image_ids(vocabulary: Vocabulary) -> dict[str, int]:
    """What the model's config calls the tokens about pictures."""
    return {
        "image_token_id": vocabulary.id("<|image_pad|>"),
        "video_token_id": vocabulary.id("<|video_pad|>"),
        "vision_start_token_id": vocabulary.id("<|vision_start|>"),
        "vision_end_token_id": vocabulary.id("<|vision_end|>"),
    }


def text_settings(vocabulary: Vocabulary) -> dict[str, Any]:
    """A decoder whose heads of 16 channels turn 4 pairs by time, 2 by row, 2 by column."""
    return {
        **TEXT_SIZES,
        "vocab_size": len(vocabulary),
        "rope_theta": 1000.0,
        "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [4, 2, 2]},
        "bos_token_id": vocabulary.id("<|endoftext|>"),
        "eos_token_id": vocabulary.id("<|im_end|>"),
        "pad_token_id": vocabulary.id("<|endoftext|>"),
    }


def small_pictures(patch: int, **settings: Any) -> Any:
    """Qwen's image processor with patches of `patch` pixels, two of which each way become one token: 6 to 40 tokens."""
    area = (2 * patch) ** 2
    return image_processor(
        "Qwen2VLImageProcessor",
        patch_size=patch,
        merge_size=2,
        size={"shortest_edge": 6 * area, "longest_edge": 40 * area},
        **settings,
    )


def _qwen2_vl(folder: Path) -> None:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    vocabulary = vocabulary_of_qwen()
    config = Qwen2VLConfig(
        text_config=text_settings(vocabulary),
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": TEXT_SIZES["hidden_size"],
            "mlp_ratio": 2,
            "num_heads": 2,
            "patch_size": 8,
        },
        **image_ids(vocabulary),
    )
    save(
        folder,
        Qwen2VLForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Qwen2VLProcessor(
            small_pictures(8), tokenizer, Qwen2VLVideoProcessor(patch_size=8), chat_template=CHAT
        ),
    )


def _qwen2_5_vl(folder: Path) -> None:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLVideoProcessor,
    )

    vocabulary = vocabulary_of_qwen()
    config = Qwen2_5_VLConfig(
        text_config=text_settings(vocabulary),
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": TEXT_SIZES["hidden_size"],
            "patch_size": 8,
            "window_size": 32,  # two tokens each way: pictures are cut into windows and put together again
            "fullatt_block_indexes": [1],
        },
        **image_ids(vocabulary),
    )
    save(
        folder,
        Qwen2_5_VLForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Qwen2_5_VLProcessor(
            small_pictures(8), tokenizer, Qwen2VLVideoProcessor(patch_size=8), chat_template=CHAT
        ),
    )


RECIPES = {
    "qwen2-vl": Recipe(("Qwen2VLForConditionalGeneration",), _qwen2_vl),
    "qwen2.5-vl": Recipe(("Qwen2_5_VLForConditionalGeneration",), _qwen2_5_vl),
}
