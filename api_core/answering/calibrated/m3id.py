"""M3ID: answers against those without the picture, the more so the longer they get (Favero et al., arXiv 2403.14003).

The further an answer goes on, the less a model looks at the picture and the more it follows its own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from ...models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt
from ...models.lvlm.contrastive.weakened_prompts import left_out
from .calibrated import Against, Calibrated, require_weight
from .contrast import Contrast, fading_mix

if TYPE_CHECKING:
    from ...models.lvlm.model import LvlmModel


@dataclass(frozen=True)
class M3ID(Calibrated):
    """Multi-modal mutual information decoding.

    forgetting: how fast the picture is forgotten: after t tokens exp(-forgetting t) of it is kept; 0 or more. The
    second reading's prompt has the image tokens in place, but nothing looks at them.
    """

    name: ClassVar[str] = "M3ID"
    forgetting: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        require_weight("forgetting", self.forgetting)

    def against(self, model: LvlmModel) -> Against:
        """The second reading of this model's prompts."""
        return SeesNoPicture(Contrast(fading_mix(self.forgetting), self.beta))


class SeesNoPicture(Against):
    """Sees the text alone."""

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts with every image token hidden."""
        everything = [torch.ones(len(columns), dtype=torch.bool) for columns in prompt.columns]
        return left_out(prompt, everything, "attention mask")
