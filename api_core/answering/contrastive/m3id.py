"""M3ID: answers against those without the picture, the more so the longer they get (Favero et al., arXiv 2403.14003).

The further an answer goes on, the less a model looks at the picture and the more it follows its own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...settings import setting
from .base import PICKING, ContrastiveDecoding, SecondPass

if TYPE_CHECKING:
    from ...models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt
    from ...models.lvlm.model import LvlmModel


@dataclass(frozen=True)
class M3ID(ContrastiveDecoding):
    """Multi-modal mutual information decoding.

    forgetting: how fast the picture is forgotten: after t tokens exp(-forgetting t) of it is kept; 0 or more. The
    second pass's prompt has no image tokens: the text closes up, as in the authors' code, in every family. Marks that a
    family writes around or between them (ends of rows, numbers of tiles) stay.
    """

    name: ClassVar[str] = "M3ID"
    sees: ClassVar[str] = "none"
    order: ClassVar[tuple[str, ...]] = ("forgetting", *PICKING)
    forgetting: float = setting(
        0.02,
        0.0,
        describes="How much more each further word is weighed against the reading without a picture; 0: not at all.",
        short="how fast the picture is forgotten",
        reach=(0.0, 2.0),
        step=0.01,
    )

    def second_pass(self, model: LvlmModel) -> SecondPass:
        """The text alone."""
        from .logit_contrast import LogitContrast, fading_mix

        return NoPicture(LogitContrast(fading_mix(self.forgetting), self.beta))


class NoPicture(SecondPass):
    """Sees the text alone."""

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts without any image token."""
        from ...models.lvlm.contrastive.weakened_prompts import taken_out

        return taken_out(prompt)
