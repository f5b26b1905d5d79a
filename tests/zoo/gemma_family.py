"""Gemma 3, Gemma 4, PaliGemma: the picture squashed into a square, or into a grid of its own shape (Gemma 4)."""

from __future__ import annotations

from pathlib import Path

from .saving import TEXT_SIZES, VISION_SIZES, Recipe, gains_about_zero, image_processor, save
from .vocabulary import gemma

CHAT_GEMMA_3 = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'][0]['text'] + '\n\n' %}{% set talk = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set talk = messages %}{% endif %}"
    "{% for message in talk %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{% if loop.first %}{{ first }}{% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<start_of_image>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

CHAT_GEMMA_4 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|image|>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}{{ '<turn|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn>model\n' }}{% endif %}"
)


def _gemma3(folder: Path) -> None:
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    names = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    vocabulary = gemma(("<start_of_turn>", "<end_of_turn>", *names.values()), extra_special_tokens=names)
    config = Gemma3Config(
        text_config=Gemma3TextConfig(
            **{**TEXT_SIZES, "num_hidden_layers": 6},
            vocab_size=len(vocabulary),
            head_dim=16,
            query_pre_attn_scalar=16,
            rope_theta=1000.0,
            rope_local_base_freq=100.0,
            sliding_window=8,
            layer_types=["sliding_attention", "sliding_attention", "full_attention"] * 2,
        ),
        vision_config=SiglipVisionConfig(**VISION_SIZES, image_size=64, patch_size=8, vision_use_head=False),
        mm_tokens_per_image=16,
        boi_token_index=vocabulary.id("<start_of_image>"),
        eoi_token_index=vocabulary.id("<end_of_image>"),
        image_token_index=vocabulary.id("<image_soft_token>"),
    )
    images = image_processor("Gemma3ImageProcessor", size={"height": 64, "width": 64}, image_seq_length=16)
    save(
        folder,
        Gemma3ForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Gemma3Processor(images, tokenizer, image_seq_length=16, chat_template=CHAT_GEMMA_3),
        adjust=gains_about_zero,
    )


def _gemma4(folder: Path) -> None:
    from transformers import (
        Gemma4AudioFeatureExtractor,
        Gemma4Config,
        Gemma4ForConditionalGeneration,
        Gemma4Processor,
        Gemma4TextConfig,
        Gemma4VideoProcessor,
        Gemma4VisionConfig,
    )

    names = {
        "image_token": "<|image|>",
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "audio_token": "<|audio|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
    }
    vocabulary = gemma(("<|turn>", "<turn|>", "<|video|>", *names.values()), extra_special_tokens=names)
    config = Gemma4Config(
        text_config=Gemma4TextConfig(
            **{**TEXT_SIZES, "num_hidden_layers": 6},
            vocab_size=len(vocabulary),
            head_dim=16,
            global_head_dim=32,
            sliding_window=8,
            layer_types=["sliding_attention", "full_attention"] * 3,
            num_kv_shared_layers=2,  # the last layer of each kind looks with the keys of an earlier one
            vocab_size_per_layer_input=len(vocabulary),
            hidden_size_per_layer_input=8,
            rope_parameters={
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000.0},
            },
        ),
        vision_config=Gemma4VisionConfig(
            **{**VISION_SIZES, "num_hidden_layers": 2},
            num_key_value_heads=2,
            head_dim=16,
            patch_size=4,
            pooling_kernel_size=3,
            position_embedding_size=256,
        ),
        audio_config=None,
        image_token_id=vocabulary.id("<|image|>"),
        video_token_id=vocabulary.id("<|video|>"),
        audio_token_id=vocabulary.id("<|audio|>"),
        boi_token_id=vocabulary.id("<|image>"),
        eoi_token_id=vocabulary.id("<image|>"),
        boa_token_id=vocabulary.id("<|audio>"),
        eoa_token_index=vocabulary.id("<audio|>"),
    )
    images = image_processor("Gemma4ImageProcessor", patch_size=4, pooling_kernel_size=3, max_soft_tokens=70)
    save(
        folder,
        Gemma4ForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Gemma4Processor(
            Gemma4AudioFeatureExtractor(),
            images,
            tokenizer,
            Gemma4VideoProcessor(patch_size=4, pooling_kernel_size=3),
            image_seq_length=70,
            chat_template=CHAT_GEMMA_4,
        ),
    )


def _paligemma(folder: Path) -> None:
    """As published, it has no chat template: pictures stand before the text."""
    from transformers import (
        GemmaConfig,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipVisionConfig,
    )

    places = [f"<loc{number:04d}>" for number in range(1024)]
    shapes = [f"<seg{number:03d}>" for number in range(128)]
    vocabulary = gemma(("<image>",), whole=(*places, *shapes), extra_special_tokens={"image_token": "<image>"})
    config = PaliGemmaConfig(
        text_config=GemmaConfig(
            **{**TEXT_SIZES, "num_key_value_heads": 1},
            vocab_size=len(vocabulary),
            head_dim=16,
            rope_theta=1000.0,
            hidden_act="gelu_pytorch_tanh",
        ),
        vision_config=SiglipVisionConfig(
            **{**VISION_SIZES, "num_hidden_layers": 2}, image_size=48, patch_size=8, vision_use_head=False
        ),
        image_token_index=vocabulary.id("<image>"),
        vocab_size=len(vocabulary),
        projection_dim=64,
        hidden_size=64,
    )
    images = image_processor("SiglipImageProcessor", size={"height": 48, "width": 48}, resample=3)
    images.image_seq_length = 36
    save(
        folder,
        PaliGemmaForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: PaliGemmaProcessor(images, tokenizer),
        adjust=gains_about_zero,
    )


RECIPES = {
    "gemma3": Recipe(("Gemma3ForConditionalGeneration",), _gemma3),
    "gemma4": Recipe(("Gemma4ForConditionalGeneration",), _gemma4),
    "paligemma": Recipe(("PaliGemmaForConditionalGeneration",), _paligemma),
}
