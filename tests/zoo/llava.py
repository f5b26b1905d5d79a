"""LLaVA-1.5, LLaVA-NeXT, LLaVA-OneVision: one square, or a square and tiles whose padding is taken off again."""

from __future__ import annotations

from pathlib import Path

from .saving import TEXT_SIZES, VISION_SIZES, Recipe, image_processor, save
from .vocabulary import byte_level, llama_2

CHAT_1_5 = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)

CHAT_NEXT = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '<<SYS>>\n' + message['content'][0]['text'] + '\n<</SYS>>\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ '[INST] ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{{ ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'][0]['text'] + '</s> ' }}{% endif %}"
    "{% endfor %}"
)

CHAT_ONEVISION = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + part['text'] }}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
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
            chat_template=CHAT_1_5,
        ),
    )


def _llava_next(folder: Path) -> None:
    from transformers import (
        CLIPVisionConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextProcessor,
        MistralConfig,
    )

    vocabulary = llama_2(["<image>", "<pad>"], pad_token="<pad>", padding_side="left")
    shapes = [[48, 96], [96, 48], [96, 96], [144, 48], [48, 144]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION_SIZES, image_size=48, patch_size=8, projection_dim=32),
        text_config=MistralConfig(
            **TEXT_SIZES,
            vocab_size=len(vocabulary),
            rope_theta=1000.0,
            sliding_window=None,
            bos_token_id=1,
            eos_token_id=2,
        ),
        image_token_index=vocabulary.id("<image>"),
        image_seq_length=36,
        image_grid_pinpoints=shapes,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    images = image_processor(
        "LlavaNextImageProcessor",
        size={"shortest_edge": 48},
        crop_size={"height": 48, "width": 48},
        image_grid_pinpoints=shapes,
    )
    save(
        folder,
        LlavaNextForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: LlavaNextProcessor(
            images,
            tokenizer,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=CHAT_NEXT,
        ),
    )


def _llava_onevision(folder: Path) -> None:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")
    vocabulary = byte_level(special, end="<|im_end|>", pad="<|endoftext|>", class_name="Qwen2TokenizerFast")
    shapes = [[48 * rows, 48 * columns] for rows in (1, 2, 3) for columns in (1, 2, 3)]
    most = "anyres_max_4"  # of the 9 tiles of the largest shape: those features are shrunk
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION_SIZES, image_size=48, patch_size=8, vision_use_head=False),
        text_config=Qwen2Config(
            **TEXT_SIZES,
            vocab_size=len(vocabulary),
            rope_theta=1000.0,
            bos_token_id=vocabulary.id("<|endoftext|>"),
            eos_token_id=vocabulary.id("<|im_end|>"),
        ),
        image_token_index=vocabulary.id("<image>"),
        video_token_index=vocabulary.id("<video>"),
        image_grid_pinpoints=shapes,
        vision_aspect_ratio=most,
    )
    images = image_processor(
        "LlavaOnevisionImageProcessor", size={"height": 48, "width": 48}, image_grid_pinpoints=shapes
    )
    save(
        folder,
        LlavaOnevisionForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: LlavaOnevisionProcessor(
            images,
            tokenizer,
            LlavaOnevisionVideoProcessor(size={"height": 48, "width": 48}),
            num_image_tokens=36,
            vision_feature_select_strategy="full",
            vision_aspect_ratio=most,
            chat_template=CHAT_ONEVISION,
        ),
    )


RECIPES = {
    "llava-1.5": Recipe(("LlavaForConditionalGeneration",), _llava_1_5),
    "llava-next": Recipe(("LlavaNextForConditionalGeneration",), _llava_next),
    "llava-onevision": Recipe(("LlavaOnevisionForConditionalGeneration",), _llava_onevision),
}
