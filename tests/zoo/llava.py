"""LLaVA-1.5."""

from __future__ import annotations

from pathlib import Path

from .saving import TEXT_SIZES, VISION_SIZES, Recipe, image_processor, save
from .vocabulary import llama_2

CHAT = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def _llava_1_5(folder: Path) -> None:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    vocabulary = llama_2(["<image>", "<pad>"], pad_token="<pad>", extra_special_tokens={"image_token": "<image>"})
    text = LlamaConfig(
        **{**TEXT_SIZES, "num_key_value_heads": 4},  # LLaVA-1.5's Llama 2 has no grouped keys
        vocab_size=len(vocabulary),
        rope_theta=1000.0,
        bos_token_id=1,
        eos_token_id=2,
    )
    vision = CLIPVisionConfig(**VISION_SIZES, image_size=48, patch_size=8, projection_dim=32)
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=vocabulary.id("<image>"),
        image_seq_length=36,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    images = image_processor("CLIPImageProcessor", size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    save(
        folder,
        LlavaForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: LlavaProcessor(
            images,
            tokenizer,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=CHAT,
        ),
    )


RECIPES = {"llava-1.5": Recipe(("LlavaForConditionalGeneration",), _llava_1_5)}
