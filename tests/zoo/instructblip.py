"""InstructBLIP: a fixed number of query tokens read the picture and the question; none has a place in the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .saving import TEXT_SIZES, VISION_SIZES, Recipe, image_processor, save
from .vocabulary import llama_2, words

QUERIES = 8


def _instructblip(folder: Path) -> None:
    """As published, it has no chat template."""
    from transformers import (
        InstructBlipConfig,
        InstructBlipForConditionalGeneration,
        InstructBlipProcessor,
        InstructBlipQFormerConfig,
        InstructBlipVisionConfig,
        LlamaConfig,
        PreTrainedTokenizerFast,
    )

    vocabulary = llama_2(["<image>", "<pad>"], pad_token="<pad>", padding_side="left")
    reading = words(("[PAD]", "[CLS]", "[SEP]"), end="[SEP]", pad="[PAD]", begin="[CLS]")
    config = InstructBlipConfig(
        vision_config=InstructBlipVisionConfig(
            **{**VISION_SIZES, "num_hidden_layers": 2}, image_size=48, patch_size=8
        ).to_dict(),
        qformer_config=InstructBlipQFormerConfig(
            vocab_size=len(reading),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            max_position_embeddings=128,
            encoder_hidden_size=32,
        ).to_dict(),
        text_config=LlamaConfig(
            **{**TEXT_SIZES, "num_key_value_heads": 4},
            vocab_size=len(vocabulary),
            rope_theta=1000.0,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=vocabulary.id("<pad>"),
        ).to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=vocabulary.id("<image>"),
    )
    images = image_processor("BlipImageProcessor", size={"height": 48, "width": 48})

    def processor(tokenizer: Any) -> Any:
        asking = PreTrainedTokenizerFast(
            tokenizer_object=reading.backend, unk_token="<unk>", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
        )
        return InstructBlipProcessor(images, tokenizer, asking, num_query_tokens=QUERIES)

    save(folder, InstructBlipForConditionalGeneration(config), vocabulary, processor)


RECIPES = {"instructblip": Recipe(("InstructBlipForConditionalGeneration",), _instructblip)}
