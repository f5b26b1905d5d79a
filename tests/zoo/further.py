"""Models that no adapter names either, for the generic one: other towers, other ways to cut a picture up."""

from __future__ import annotations

from pathlib import Path

from .own_shapes import CHAT_DEEPSEEK, CHAT_MISTRAL
from .saving import TEXT_SIZES, VISION_SIZES, Recipe, image_processor, save
from .tiles import CHAT_INTERNVL
from .vocabulary import byte_level

FEW_LAYERS = {**VISION_SIZES, "num_hidden_layers": 2}
SQUARE = {"height": 48, "width": 48}


def _pixtral(folder: Path) -> None:
    """LLaVA's class around Pixtral's tower: the picture's own shape, a break at the end of each row."""
    from transformers import (
        LlavaConfig,
        LlavaForConditionalGeneration,
        MistralConfig,
        PixtralProcessor,
        PixtralVisionConfig,
    )

    marks = ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    head = ("<unk>", "<s>", "</s>", "<pad>")
    vocabulary = byte_level((*head, *marks), end="</s>", pad="<pad>", begin="<s>", unk_token="<unk>")
    config = LlavaConfig(
        text_config=MistralConfig(**TEXT_SIZES, vocab_size=len(vocabulary), rope_theta=1000.0, sliding_window=None),
        vision_config=PixtralVisionConfig(**FEW_LAYERS, image_size=96, patch_size=16, rope_theta=100.0),
        image_token_index=vocabulary.id("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    patch = {"height": 16, "width": 16}
    images = image_processor("PixtralImageProcessor", patch_size=patch, size={"longest_edge": 96})
    save(
        folder,
        LlavaForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: PixtralProcessor(
            images, tokenizer, patch_size=16, spatial_merge_size=1, chat_template=CHAT_MISTRAL
        ),
    )


def _lfm2_vl(folder: Path) -> None:
    """Tiles of padded patches and a thumbnail of the picture's own shape; convolutions between attention layers."""
    from transformers import (
        Lfm2Config,
        Lfm2VlConfig,
        Lfm2VlForConditionalGeneration,
        Lfm2VlProcessor,
        Siglip2VisionConfig,
    )

    names = {"image_token": "<image>", "image_start_token": "<|image_start|>", "image_end_token": "<|image_end|>"}
    tiles = [f"<|img_row_{row}_col_{column}|>" for row in range(1, 5) for column in range(1, 5)]
    vocabulary = byte_level(
        ("<|startoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>", *names.values(), "<|img_thumbnail|>", *tiles),
        end="<|im_end|>",
        pad="<|pad|>",
        begin="<|startoftext|>",
        extra_special_tokens={**names, "image_thumbnail": "<|img_thumbnail|>"},
        padding_side="left",
    )
    text = {name: size for name, size in TEXT_SIZES.items() if name != "max_position_embeddings"}
    config = Lfm2VlConfig(
        text_config=Lfm2Config(
            **text,
            vocab_size=len(vocabulary),
            layer_types=["conv", "full_attention", "conv", "full_attention"],
            rope_theta=1000.0,
        ),
        vision_config=Siglip2VisionConfig(**FEW_LAYERS, num_patches=36, patch_size=8, vision_use_head=False),
        image_token_id=vocabulary.id("<image>"),
        projector_hidden_size=64,
        downsample_factor=2,
        tie_word_embeddings=False,
    )
    images = image_processor(
        "Lfm2VlImageProcessor",
        downsample_factor=2,
        encoder_patch_size=8,
        tile_size=48,
        min_image_tokens=4,
        max_image_tokens=16,
        max_tiles=6,
        max_num_patches=64,
    )
    chat = "{{ bos_token }}" + CHAT_DEEPSEEK.replace("<image_placeholder>", "<image>")
    save(
        folder,
        Lfm2VlForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Lfm2VlProcessor(images, tokenizer, chat_template=chat),
    )


def _llama4(folder: Path) -> None:
    """Tiles on a padded canvas, whole view last; experts, and layers whose attention is cut into chunks."""
    from transformers import (
        Llama4Config,
        Llama4ForConditionalGeneration,
        Llama4Processor,
        Llama4TextConfig,
        Llama4VisionConfig,
    )

    head = ("<|begin_of_text|>", "<|pad|>", "<|eot|>", "<|header_start|>", "<|header_end|>")
    separators = ("<|tile_x_separator|>", "<|tile_y_separator|>")
    vocabulary = byte_level(
        (*head, "<|image|>", "<|image_start|>", "<|image_end|>", "<|patch|>", *separators),
        end="<|eot|>",
        pad="<|pad|>",
        begin="<|begin_of_text|>",
        padding_side="left",
    )
    config = Llama4Config(
        text_config=Llama4TextConfig(
            **{**TEXT_SIZES, "intermediate_size": 48},
            intermediate_size_mlp=96,
            vocab_size=len(vocabulary),
            head_dim=16,
            num_local_experts=2,
            attention_chunk_size=64,
            no_rope_layer_interval=4,
        ),
        vision_config=Llama4VisionConfig(
            **{**FEW_LAYERS, "intermediate_size": 128},
            image_size=48,
            patch_size=8,
            vision_output_dim=32,
            projector_input_dim=32,
            projector_output_dim=32,
        ),
        image_token_index=vocabulary.id("<|patch|>"),
        boi_token_index=vocabulary.id("<|image_start|>"),
        eoi_token_index=vocabulary.id("<|image_end|>"),
    )
    images = image_processor("Llama4ImageProcessor", size=SQUARE, max_patches=6)
    chat = "{{ bos_token }}" + CHAT_DEEPSEEK.replace("<image_placeholder>", "<|image|>")
    save(
        folder,
        Llama4ForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Llama4Processor(images, tokenizer, patch_size=8, chat_template=chat),
    )


def _ovis2(folder: Path) -> None:
    """A whole view first, then tiles with marks between them."""
    from transformers import Ovis2Config, Ovis2ForConditionalGeneration, Ovis2Processor, Qwen2Config

    marks = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    vocabulary = byte_level(
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<IMG_ATOM>", *marks),
        end="<|im_end|>",
        pad="<|endoftext|>",
        class_name="Qwen2TokenizerFast",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )
    config = Ovis2Config(
        text_config=Qwen2Config(**TEXT_SIZES, vocab_size=len(vocabulary), rope_theta=1000.0).to_dict(),
        vision_config={
            **FEW_LAYERS,
            "image_size": 48,
            "patch_size": 8,
            "vocab_size": 64,
            "hidden_stride": 2,
            "num_visual_indicator_tokens": 5,
        },
        image_token_id=vocabulary.id("<IMG_ATOM>"),
        visual_indicator_token_ids=[vocabulary.id(mark) for mark in marks],
        vocab_size=len(vocabulary),
        hidden_size=64,
    )
    images = image_processor("Ovis2ImageProcessor", size=SQUARE, max_patches=6, crop_to_patches=True)
    chat = CHAT_INTERNVL.replace("<IMG_CONTEXT>", "<image>")
    save(
        folder,
        Ovis2ForConditionalGeneration(config),
        vocabulary,
        lambda tokenizer: Ovis2Processor(images, tokenizer, image_seq_length=9, chat_template=chat),
    )


RECIPES = {
    "pixtral": Recipe(("PixtralVisionConfig",), _pixtral),
    # transformers 4.57 saves a model type that it cannot load again; it has no image processor of this name either.
    "lfm2-vl": Recipe(("Lfm2VlForConditionalGeneration", "Lfm2VlImageProcessor"), _lfm2_vl),
    "llama4": Recipe(("Llama4ForConditionalGeneration",), _llama4),
    "ovis2": Recipe(("Ovis2ForConditionalGeneration",), _ovis2),
}
