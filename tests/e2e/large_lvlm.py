"""A random LLaVA as large as a real model's share of memory: 1.1 GB of noise in transformers' layout."""

import shutil
from pathlib import Path

from pack.tests import zoo

WIDE = {
    "hidden_size": 1536,
    "intermediate_size": 4096,
    "num_hidden_layers": 10,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 128,
}
"""A decoder of 280 million parameters."""


def large_lvlm_folder(folder: Path) -> Path:
    """Write the model into `folder`, with the processor and the vocabulary of the tiny one, and return it."""
    from transformers import AutoConfig, LlavaForConditionalGeneration

    small = zoo.folder("llava-1.5", folder.parent)
    shutil.copytree(small, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = AutoConfig.from_pretrained(small)
    for name, value in WIDE.items():
        setattr(config.text_config, name, value)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder
