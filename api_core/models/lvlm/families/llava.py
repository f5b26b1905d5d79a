"""LLaVA-1.5: one square, and conversations that began with Vicuna's text (Liu et al. 2023)."""

from __future__ import annotations

from ....choices import VICUNA_SYSTEM_PROMPT
from .adapter import Family


class LlavaFamily(Family):
    """Also other models of its architecture, which were taught to talk otherwise."""

    def unsaid_system_prompt(self, prompt: str) -> str:
        """Vicuna's, where `prompt` is of its conversation and begins without it."""
        asks = "USER:" in prompt and prompt.endswith("ASSISTANT:")
        return VICUNA_SYSTEM_PROMPT if asks and VICUNA_SYSTEM_PROMPT not in prompt else ""
