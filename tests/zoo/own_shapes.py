"""Mistral 3 and GLM-4V, which keep the picture's shape; DeepSeek-VL hybrid, which looks with two encoders."""

from __future__ import annotations

from pathlib import Path

from .saving import TEXT_SIZES, VISION_SIZES, Recipe, image_processor, save
from .vocabulary import byte_level

CHAT_MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{{ '[SYSTEM_PROMPT]' + message['content'][0]['text'] + '[/SYSTEM_PROMPT]' }}"
    "{% elif message['role'] == 'user' %}{{ '[INST]' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '[IMG]' }}{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '[/INST]' }}"
    "{% else %}{{ message['content'][0]['text'] + eos_token }}{% endif %}"
    "{% endfor %}"
)

CHAT_DEEPSEEK = (
    "{% for message in messages %}"
    "{{ {'user': 'User: ', 'assistant': 'Assistant: '}.get(message['role'], '') }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image_placeholder>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)

CHAT_GLM = (
    "{{ '[gMASK]<sop>' }}{% for message in messages %}{{ '<|' + message['role'] + '|>\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|begin_of_image|><|image|><|end_of_image|>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


def _mistral3(folder: Path) -> None:
    from transformers import (
        Mistral3Config,
        Mistral3ForConditionalGeneration,
        MistralConfig,
        PixtralProcessor,
        PixtralVisionConfig,
    )

    marks = ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    vocabulary = byte_level(
        ("<unk>", "<s>", "</s>", "<pad>", *marks), end="</s>", pad="<pad>", begin="<s>", unk_token="<unk>"
    )
    config = Mistral3Config(
        text_config=MistralConfig(
            **TEXT_SIZES,
            vocab_size=len(vocabulary),
            rope_theta=1000.0,
            head_dim=16,
            sliding_window=None,
            bos_token_id=vocabulary.id("<s>"),
            eos_token_id=vocabulary.id("</s>"),
        ),
        vision_config=PixtralVisionConfig(
            **{**VISION_SIZES, "num_hidden_layers": 2}, image_size=96, patch_size=8, rope_theta=100.0
        ),
        image_token_index=vocabulary.id("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    images = image_processor("PixtralImageProcessor", patch_size={"height": 8, "width": 8}, size={"longest_edge": 96})
    save(
        folder,
        Mistral3ForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: PixtralProcessor(
            images, tokenizer, patch_size=8, spatial_merge_size=2, chat_template=CHAT_MISTRAL
        ),
    )


def _deepseek_vl_hybrid(folder: Path) -> None:
    from transformers import (
        DeepseekVLHybridConfig,
        DeepseekVLHybridForConditionalGeneration,
        DeepseekVLHybridProcessor,
        LlamaConfig,
        SamVisionConfig,
        SiglipVisionConfig,
    )

    begin, end, pad = "<|begin_of_sentence|>", "<|end_of_sentence|>", "<|pad|>"
    vocabulary = byte_level(
        (begin, end, pad, "<image_placeholder>"),
        end=end,
        pad=pad,
        begin=begin,
        extra_special_tokens={"image_token": "<image_placeholder>"},
    )
    config = DeepseekVLHybridConfig(
        text_config=LlamaConfig(
            **{**TEXT_SIZES, "num_key_value_heads": 4},
            vocab_size=len(vocabulary),
            rope_theta=1000.0,
            bos_token_id=vocabulary.id(begin),
            eos_token_id=vocabulary.id(end),
        ),
        vision_config=SiglipVisionConfig(
            **{**VISION_SIZES, "num_hidden_layers": 2}, image_size=48, patch_size=8, vision_use_head=False
        ),
        high_res_vision_config=SamVisionConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            mlp_dim=48,
            image_size=96,
            patch_size=8,
            output_channels=8,
            window_size=4,
            global_attn_indexes=[1],
        ),
        image_token_id=vocabulary.id("<image_placeholder>"),
        tie_word_embeddings=False,
    )
    images = image_processor(
        "DeepseekVLHybridImageProcessor",
        size={"height": 48, "width": 48},
        high_res_size={"height": 96, "width": 96},
        min_size=8,
    )
    save(
        folder,
        DeepseekVLHybridForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: DeepseekVLHybridProcessor(
            images, tokenizer, chat_template=CHAT_DEEPSEEK, num_image_tokens=36
        ),
    )


def _glm4v(folder: Path) -> None:
    from transformers import (
        Glm4vConfig,
        Glm4vForConditionalGeneration,
        Glm4vProcessor,
        Glm4vVideoProcessor,
    )

    roles = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
    pictures = ("<|begin_of_image|>", "<|image|>", "<|end_of_image|>")
    films = ("<|begin_of_video|>", "<|video|>", "<|end_of_video|>")
    vocabulary = byte_level(
        ("<|endoftext|>", "[gMASK]", "<sop>", *roles, *pictures, *films), end="<|user|>", pad="<|endoftext|>"
    )
    config = Glm4vConfig(
        text_config={
            **TEXT_SIZES,
            "vocab_size": len(vocabulary),
            "rope_theta": 1000.0,
            "partial_rotary_factor": 0.5,
            "rope_scaling": {"rope_type": "default", "mrope_section": [2, 1, 1]},
            "pad_token_id": vocabulary.id("<|endoftext|>"),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "image_size": 48,
            "patch_size": 8,
            "out_hidden_size": TEXT_SIZES["hidden_size"],
        },
        image_token_id=vocabulary.id("<|image|>"),
        video_token_id=vocabulary.id("<|video|>"),
        image_start_token_id=vocabulary.id("<|begin_of_image|>"),
        image_end_token_id=vocabulary.id("<|end_of_image|>"),
        video_start_token_id=vocabulary.id("<|begin_of_video|>"),
        video_end_token_id=vocabulary.id("<|end_of_video|>"),
    )
    size = {"shortest_edge": 12 * 256, "longest_edge": 80 * 256}  # counted over the two frames of a still: 6 to 40
    images = image_processor("Glm4vImageProcessor", patch_size=8, merge_size=2, size=size)
    save(
        folder,
        Glm4vForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Glm4vProcessor(images, tokenizer, Glm4vVideoProcessor(patch_size=8), chat_template=CHAT_GLM),
    )


RECIPES = {
    "mistral3": Recipe(("Mistral3ForConditionalGeneration",), _mistral3),
    "deepseek-vl-hybrid": Recipe(("DeepseekVLHybridForConditionalGeneration",), _deepseek_vl_hybrid),
    "glm4v": Recipe(("Glm4vForConditionalGeneration",), _glm4v),
}
