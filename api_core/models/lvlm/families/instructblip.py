"""InstructBLIP: pictures come before the text, and the processor puts them there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ....errors import InvalidInput
from ...conversation.case import Case
from .adapter import Family


class InstructBlipFamily(Family):
    """Instructions without a chat (Dai et al. 2023)."""

    def plain_prompt(self, processor: Any, case: Case) -> str:
        """System prompt and question, a line each; the processor puts the picture's query tokens before them."""
        if len(case.pictures) > 1:
            given = len(case.pictures)
            raise InvalidInput(f"InstructBLIP takes one picture in a prompt, not {given}. Ask about one at a time.")
        return "\n".join(part for part in (case.system_prompt, case.question) if part)

    def with_answer(
        self, inputs: Mapping[str, Tensor], answer_ids: Tensor, answer_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """As the generic one, with positions: padding stands between query tokens and text, where it moves them."""
        made = super().with_answer(inputs, answer_ids, answer_mask)
        mask = made["attention_mask"]
        made["position_ids"] = (mask.long().cumsum(1) - 1).masked_fill(mask == 0, 0)
        return made
