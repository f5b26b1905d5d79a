"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL, Qwen3.5: flattened patches in blocks of the merger, rotary positions in 3 axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .saving import TEXT_SIZES, Recipe, gains_about_zero, image_processor, save
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

CHAT_3 = CHAT.replace(
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}",
    "",
)
"""Without a system prompt of its own."""

CHAT_3_5 = CHAT_3.replace(
    "<|im_start|>assistant\n",
    "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}",
)
"""It opens the thinking for the model, or closes it at once when told not to think."""

VISION_3 = {
    "depth": 3,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "out_hidden_size": TEXT_SIZES["hidden_size"],
    "patch_size": 8,
    "num_position_embeddings": 36,
}
"""The vision tower of Qwen3: positions on a 6 x 6 grid that is stretched over the picture."""


def vocabulary_of_qwen(*whole: str) -> Vocabulary:
    """Qwen's tokenizer; whole: further texts that are one token."""
    end, pad = "<|im_end|>", "<|endoftext|>"
    return byte_level(SPECIAL, end=end, pad=pad, whole=whole, class_name="Qwen2TokenizerFast")


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


def _qwen3_vl(folder: Path) -> None:
    from transformers import (
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    vocabulary = vocabulary_of_qwen("<think>", "</think>")
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config={**text_settings(vocabulary), "head_dim": 16, "rope_scaling": rope},
        vision_config={**VISION_3, "deepstack_visual_indexes": [0, 1]},
        **image_ids(vocabulary),
    )
    save(
        folder,
        Qwen3VLForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Qwen3VLProcessor(
            small_pictures(8), tokenizer, Qwen3VLVideoProcessor(patch_size=8), chat_template=CHAT_3
        ),
    )


def _qwen3_5(folder: Path) -> None:
    from transformers import (
        Qwen3_5Config,
        Qwen3_5ForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    vocabulary = vocabulary_of_qwen("<think>", "</think>")
    text = {
        **text_settings(vocabulary),
        "num_hidden_layers": 8,
        "full_attention_interval": 4,  # layers 3 and 7; the others are linear
        "head_dim": 16,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "rope_scaling": None,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1000.0,
            "partial_rotary_factor": 0.5,
            "mrope_section": [2, 1, 1],
            "mrope_interleaved": True,
        },
    }
    config = Qwen3_5Config(text_config=text, vision_config=dict(VISION_3), **image_ids(vocabulary))

    def remember_longer(module: Any) -> None:
        gains_about_zero(module)
        for name, parameter in module.named_parameters():
            if name.endswith("A_log"):
                parameter -= 3.0

    save(
        folder,
        Qwen3_5ForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Qwen3VLProcessor(
            small_pictures(8), tokenizer, Qwen3VLVideoProcessor(patch_size=8), chat_template=CHAT_3_5
        ),
        adjust=remember_longer,
    )


RECIPES = {
    "qwen2-vl": Recipe(("Qwen2VLForConditionalGeneration",), _qwen2_vl),
    "qwen2.5-vl": Recipe(("Qwen2_5_VLForConditionalGeneration",), _qwen2_5_vl),
    "qwen3-vl": Recipe(("Qwen3VLForConditionalGeneration",), _qwen3_vl),
    "qwen3.5": Recipe(("Qwen3_5ForConditionalGeneration",), _qwen3_5),
}
