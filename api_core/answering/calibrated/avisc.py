"""AvisC: answers that do not lean on blind tokens (Woo et al., arXiv 2405.17820).

Some image tokens get much attention whatever is asked and say little about what is there. A second reading sees these
alone, and what it says counts against the answer. Which tokens they are is decided once, from the prompt's last row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ...choices import SCHEMES, Scheme
from ...errors import InvalidInput
from ...models.catalog import avisc_alpha
from ...models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt
from ...models.lvlm.contrastive.weakened_prompts import left_out
from .blind_tokens import BlindTokens, find_blind_tokens
from .calibrated import Against, Calibrated, require_weight
from .contrast import Contrast, linear_mix

if TYPE_CHECKING:
    from ...models.conversation.case import Case
    from ...models.lvlm.model import LvlmModel


@dataclass(frozen=True)
class AvisC(Calibrated):
    """Attentional vision calibration, with the paper's settings.

    alpha: how much the second reading counts against the answer, 0 or more; None is the catalog's for the model (2.5; 3
    for InstructBLIP). gamma: the share of all attention to the picture that the layers have together which the choice
    is made on, 0..1. threshold: how many standard deviations above the mean a blind token's attention lies; the paper's
    lambda. scheme: what stands in the place of the other image tokens in the second reading (see `SCHEMES`).
    """

    name: ClassVar[str] = "AvisC"
    alpha: float | None = None
    gamma: float = 0.5
    threshold: float = 1.0
    scheme: Scheme = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha is not None:
            require_weight("alpha", self.alpha)
        if not 0 <= self.gamma <= 1:
            raise InvalidInput(f"gamma must be from 0 to 1, not {self.gamma}.")
        if math.isnan(self.threshold):
            raise InvalidInput("threshold must be a number, not nan.")
        if self.scheme not in SCHEMES:
            raise InvalidInput(f"There is no scheme {self.scheme!r}. Choose one of {', '.join(SCHEMES)}.")

    def on(self, model: str) -> AvisC:
        """With the catalog's alpha where none is given."""
        return replace(self, alpha=avisc_alpha(model, self.alpha))

    def against(self, model: LvlmModel) -> Against:
        """The second reading of this model's prompts."""
        return SeesBlindTokens(self, avisc_alpha(model.name, self.alpha))


class SeesBlindTokens(Against):
    """Sees the blind tokens alone."""

    needs_attention = True

    def __init__(self, decoding: AvisC, alpha: float) -> None:
        super().__init__(Contrast(linear_mix(alpha), decoding.beta))
        self._decoding = decoding
        self._found: dict[int, BlindTokens] = {}

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts without the tokens that are not blind."""
        decoding = self._decoding
        found = [find_blind_tokens(rows, decoding.gamma, decoding.threshold) for rows in prompt.attention]
        # By case: a batch that did not fit into memory is answered again in parts, which hold the same cases.
        self._found |= {id(case): blind for case, blind in zip(prompt.prepared.cases, found, strict=True)}
        return left_out(prompt, [~blind.blind for blind in found], decoding.scheme, decoding.seed)

    def blind_tokens(self, case: Case) -> BlindTokens:
        """The choice for a case."""
        return self._found[id(case)]
