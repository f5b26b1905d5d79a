"""Qwen2-VL and its successors: positions in three directions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .adapter import Family


class QwenFamily(Family):
    """Multimodal rotary positions (Wang et al. 2024, Qwen2-VL, §2.1): text goes on after the picture's longest side."""

    def chunk_positions(self, module: nn.Module, inputs: Mapping[str, Tensor], mask: Tensor) -> Tensor:
        """The prompt's own positions, and the answer's after the highest of them: long [3, B, S + R]."""
        # Asked for anew: what the model remembers belongs to the last prompts it read, and where their padding counts
        # differs between versions of transformers.
        find: Any = module.get_submodule("model").get_rope_index
        device = next(module.parameters()).device
        known = {
            name: inputs[name].to(device) for name in inspect.signature(find).parameters if inputs.get(name) is not None
        }
        prompt = find(**known)[0].to(mask.device)
        own = mask[:, : prompt.shape[-1]].bool()
        highest = prompt.masked_fill(~own, 0).amax((0, 2))
        steps = torch.arange(1, mask.shape[1] - prompt.shape[-1] + 1, device=mask.device)
        answer = (highest.unsqueeze(1) + steps).expand(3, -1, -1)
        return torch.cat([prompt, answer.to(prompt)], -1)
