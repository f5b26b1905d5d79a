"""Qwen2-VL and its successors: positions in three directions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .adapter import Family


class QwenFamily(Family):
    """Multimodal rotary positions (Wang et al. 2024, Qwen2-VL, §2.1): text goes on after the picture's widest side."""

    def chunk_positions(self, module: nn.Module, inputs: Mapping[str, Tensor], mask: Tensor) -> Tensor:
        """The text's positions in all three directions, moved by what the prompt's pictures save."""
        # Asked for anew: the model keeps only the offsets of the last prompts it read.
        find: Any = module.get_submodule("model").get_rope_index
        known = {name: value.to(module_device(module)) for name, value in inputs.items()}
        offsets = find(**{name: known[name] for name in inspect.signature(find).parameters if name in known})[1]
        positions = super().chunk_positions(module, inputs, mask)
        return (positions + offsets.to(positions.device).view(-1, 1)).expand(3, -1, -1)


def module_device(module: nn.Module) -> torch.device:
    """Where the model's parameters are now."""
    return next(module.parameters()).device
