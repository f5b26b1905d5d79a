"""Eager attention, step by step: what rows that were read beside a fused kernel are held against."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CALM = 0.25


def eager(folder: Path) -> Any:
    """The same weights with attention in the open."""
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


@contextmanager
def calmer(model: Any, *modules: Any) -> Iterator[None]:
    """Scores such as trained models have: with random weights' hundreds, eager and SDPA differ by themselves."""
    attentions = [
        model.family.attention(module, layer)
        for layer in model.family.readable_layers(model.module)
        for module in modules
    ]
    usual = [attention.scaling for attention in attentions]
    for attention in attentions:
        attention.scaling = CALM * attention.head_dim**-0.5
    try:
        yield
    finally:
        for attention, scaling in zip(attentions, usual, strict=True):
            attention.scaling = scaling


def eager_attentions(module: Any, inputs: dict[str, Tensor], tokens: int) -> tuple[Tensor, list[list[Tensor]]]:
    """Greedy tokens [B, tokens], and of each step and layer with attention the attention [B, H, m, keys]."""
    with torch.no_grad():
        made = module.generate(
            **inputs,
            max_new_tokens=tokens,
            do_sample=False,
            output_attentions=True,
            return_dict_in_generate=True,
        )
    steps = [[layer for layer in step if layer is not None] for step in made.attentions]
    return made.sequences[:, -len(steps) :], steps
