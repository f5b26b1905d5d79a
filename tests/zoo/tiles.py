"""InternVL, Idefics3, SmolVLM2, Aya Vision: the picture as square tiles and a small view of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .saving import TEXT_SIZES, VISION_SIZES, Recipe, image_processor, save
from .vocabulary import Vocabulary, byte_level

CHAT_INTERNVL = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

CHAT_IDEFICS3 = (
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ message['role'] | capitalize }}"
    "{{ ':' if message['content'][0]['type'] == 'image' else ': ' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}"
    "{% endfor %}{{ '<end_of_utterance>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)

CHAT_AYA = (
    "{{ bos_token }}{% for message in messages %}{{ '<|START_OF_TURN_TOKEN|>' }}"
    "{{ {'user': '<|USER_TOKEN|>', 'assistant': '<|CHATBOT_TOKEN|>'}.get(message['role'], '<|SYSTEM_TOKEN|>') }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}"
    "{% endfor %}{{ '<|END_OF_TURN_TOKEN|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}"
)


def _internvl(folder: Path) -> None:
    from transformers import (
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
        Qwen2Config,
    )

    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    vocabulary = byte_level(
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *names.values()),
        end="<|im_end|>",
        pad="<|endoftext|>",
        class_name="Qwen2TokenizerFast",
        extra_special_tokens=names,
    )
    config = InternVLConfig(
        text_config=Qwen2Config(**TEXT_SIZES, vocab_size=len(vocabulary), rope_theta=1000.0, tie_word_embeddings=False),
        vision_config={
            **VISION_SIZES,
            "num_hidden_layers": 2,
            "image_size": [48, 48],
            "patch_size": [8, 8],
            "attention_bias": True,
        },
        image_token_id=vocabulary.id("<IMG_CONTEXT>"),
        image_seq_length=9,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    square = {"height": 48, "width": 48}
    images = image_processor("GotOcr2ImageProcessor", size=square, crop_to_patches=True, min_patches=1, max_patches=6)
    save(
        folder,
        InternVLForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: InternVLProcessor(
            images,
            tokenizer,
            InternVLVideoProcessor(size=square),
            image_seq_length=9,
            chat_template=CHAT_INTERNVL,
        ),
    )


def _vocabulary_of_idefics(begin: str, always_begin: bool) -> Vocabulary:
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    special = (begin, "<pad>", "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *tiles)
    return byte_level(
        special,
        end="<end_of_utterance>",
        pad="<pad>",
        begin=begin if always_begin else "",
        bos_token=begin,
        padding_side="left",
    )


def _idefics_settings(vocabulary: Vocabulary, scale: int) -> dict[str, Any]:
    from transformers import LlamaConfig

    return {
        "text_config": LlamaConfig(
            **TEXT_SIZES, vocab_size=len(vocabulary), rope_theta=1000.0, pad_token_id=vocabulary.id("<pad>")
        ),
        "vision_config": {**VISION_SIZES, "num_hidden_layers": 2, "image_size": 48, "patch_size": 8},
        "image_token_id": vocabulary.id("<image>"),
        "scale_factor": scale,
        "pad_token_id": vocabulary.id("<pad>"),
    }


def _idefics3(folder: Path) -> None:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor

    vocabulary = _vocabulary_of_idefics("<|begin_of_text|>", always_begin=True)
    config = Idefics3Config(**_idefics_settings(vocabulary, scale=2))
    images = image_processor(
        "Idefics3ImageProcessor", slow=True, size={"longest_edge": 144}, max_image_size={"longest_edge": 48}
    )
    save(
        folder,
        Idefics3ForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Idefics3Processor(images, tokenizer, image_seq_len=9, chat_template=CHAT_IDEFICS3),
    )


def _smolvlm2(folder: Path) -> None:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    vocabulary = _vocabulary_of_idefics("<|im_start|>", always_begin=False)
    config = SmolVLMConfig(**_idefics_settings(vocabulary, scale=3))
    tile = {"longest_edge": 48}
    images = image_processor("SmolVLMImageProcessor", slow=True, size={"longest_edge": 192}, max_image_size=tile)
    save(
        folder,
        SmolVLMForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: SmolVLMProcessor(
            images,
            tokenizer,
            SmolVLMVideoProcessor(size=tile, max_image_size=tile),
            image_seq_len=4,
            chat_template=CHAT_IDEFICS3,
        ),
    )


def _aya_vision(folder: Path) -> None:
    from transformers import (
        AyaVisionConfig,
        AyaVisionForConditionalGeneration,
        AyaVisionProcessor,
        Cohere2Config,
        SiglipVisionConfig,
    )

    turns = ("START_OF_TURN_TOKEN", "END_OF_TURN_TOKEN", "USER_TOKEN", "CHATBOT_TOKEN", "SYSTEM_TOKEN")
    pictures = ("START_OF_IMG", "END_OF_IMG", "IMG_PATCH", "IMG_LINE_BREAK")
    marks = tuple(f"<|{name}|>" for name in (*turns, *pictures))
    tiles = ("TILE_GLOBAL", *(f"TILE_{number}" for number in range(1, 10)))
    vocabulary = byte_level(
        ("<PAD>", "<BOS_TOKEN>", *marks, *tiles),
        end="<|END_OF_TURN_TOKEN|>",
        pad="<PAD>",
        begin="<BOS_TOKEN>",
        padding_side="left",
    )
    config = AyaVisionConfig(
        vision_config=SiglipVisionConfig(
            **{**VISION_SIZES, "num_hidden_layers": 2}, image_size=48, patch_size=8, vision_use_head=False
        ),
        text_config=Cohere2Config(
            **TEXT_SIZES,
            vocab_size=len(vocabulary),
            rope_theta=1000.0,
            sliding_window=12,
            layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
            logit_scale=1.0,
            bos_token_id=vocabulary.id("<BOS_TOKEN>"),
            eos_token_id=vocabulary.id("<|END_OF_TURN_TOKEN|>"),
            pad_token_id=vocabulary.id("<PAD>"),
        ),
        image_token_index=vocabulary.id("<|IMG_PATCH|>"),
        downsample_factor=2,
    )
    square = {"height": 48, "width": 48}
    images = image_processor("GotOcr2ImageProcessor", size=square, crop_to_patches=True, min_patches=1, max_patches=6)
    save(
        folder,
        AyaVisionForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: AyaVisionProcessor(
            images, tokenizer, patch_size=8, img_size=48, downsample_factor=2, chat_template=CHAT_AYA
        ),
    )


RECIPES = {
    "internvl": Recipe(("InternVLForConditionalGeneration",), _internvl),
    "smolvlm2": Recipe(("SmolVLMForConditionalGeneration",), _smolvlm2, modules=("num2words",)),
    "idefics3": Recipe(("Idefics3ForConditionalGeneration",), _idefics3),
    "aya-vision": Recipe(("AyaVisionForConditionalGeneration",), _aya_vision),
}
