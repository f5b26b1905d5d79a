"""PaliGemma: a prompt that sees itself in both directions, and no chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ....errors import UnsupportedModel
from ...conversation.case import Case
from .adapter import Family

# Far below any score, and still a number in float16.
_HIDDEN = -3e4


class PaliGemmaFamily(Family):
    """Prefix language model (Beyer et al. 2024): full attention within the prompt, causal in the answer."""

    def plain_prompt(self, processor: Any, case: Case) -> str:
        """The form it was trained on: pictures, then the task, as in "answer en What is this?"; its base models too."""
        if case.system_prompt:
            raise UnsupportedModel("PaliGemma models have no system prompt. Leave it empty, or use a model that chats.")
        return str(processor.image_token) * len(case.pictures) + case.question + "\n"

    def with_answer(
        self, inputs: Mapping[str, Tensor], answer_ids: Tensor, answer_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """As the generic one, with the mask of every query and key: [B, 1, S + R, S + R], 0 or far below.

        Token types alone do not say it in every version of transformers: some read them only when training.
        """
        made = super().with_answer(inputs, answer_ids, answer_mask)
        mask = made["attention_mask"].bool()
        length, prompt = mask.shape[1], inputs["input_ids"].shape[1]
        index = torch.arange(length, device=mask.device)
        allowed = (index <= index.unsqueeze(1)) | ((index < prompt) & (index.unsqueeze(1) < prompt))
        seen = allowed & mask.unsqueeze(1)
        made["attention_mask"] = torch.where(seen, 0.0, _HIDDEN).unsqueeze(1).to(inputs["pixel_values"].dtype)
        return made

    @property
    def answer_type(self) -> int:
        """The causal part: 0 would put the answer into the prompt, silently."""
        return 1
