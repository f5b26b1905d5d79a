"""AvisC: answers that do not lean on blind tokens (Woo et al., arXiv 2405.17820).

Some image tokens get much attention whatever is asked and say little about what is there. A second pass sees these
alone, and what it says counts against the answer. Which tokens they are is decided once, from the prompt's last row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ...choices import SCHEMES, Scheme
from ...errors import require_one_of
from ...models.catalog import avisc_alpha
from ...settings import setting
from .base import PICKING, ContrastiveDecoding, SecondPass, alpha_setting

if TYPE_CHECKING:
    from ...models.conversation.case import Case
    from ...models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt
    from ...models.lvlm.model import LvlmModel
    from .blind_tokens import BlindTokens


@dataclass(frozen=True)
class AvisC(ContrastiveDecoding):
    """Attentional vision calibration, with the paper's settings.

    alpha: how much the second pass counts against the answer, 0 or more; None is the catalog's for the model (2.5; 3
    for InstructBLIP). gamma: the share of all attention to the picture that the layers have together which the choice
    is made on, 0..1. threshold: how many standard deviations above the mean a blind token's attention lies; the paper's
    lambda. scheme: what stands in the place of the other image tokens in the second pass (see `SCHEMES`).
    """

    name: ClassVar[str] = "AvisC"
    sees: ClassVar[str] = "only blind tokens"
    order: ClassVar[tuple[str, ...]] = ("alpha", "threshold", "gamma", "scheme", *PICKING)
    needs_layout: ClassVar[bool] = True
    alpha: float | None = alpha_setting(None)
    gamma: float = setting(
        0.5,
        0.0,
        1.0,
        "Blind tokens are sought in the layers that look most, which together have this share of it all.",
        short="the share of attention that its layers have",
        step=0.05,
        advanced=True,
    )
    threshold: float = setting(
        1.0,
        describes="A token is blind from so many standard deviations above the mean attention. Lower: more are.",
        short="above the mean, from where on attention makes a token blind",
        reach=(-10.0, 10.0),
        step=0.1,
        flag="blind-threshold",
        unit="deviations",
    )
    scheme: Scheme = setting(
        "zeros",
        describes="What the second reading gets in the place of other tokens: zeros, ones, noise, or nothing at all "
        "(attention mask).",
        short="what the other tokens become",
        options=SCHEMES,
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of(self.scheme, SCHEMES, "scheme")

    @property
    def draws(self) -> bool:
        """Where there is a temperature, or noise stands in the place of tokens."""
        return super().draws or self.scheme == "noise"

    def resolved_for(self, model: str) -> AvisC:
        """With the catalog's alpha where none is given."""
        return replace(self, alpha=avisc_alpha(model, self.alpha))

    def second_pass(self, model: LvlmModel) -> SecondPass:
        """The blind tokens alone."""
        return BlindTokensOnly(self, avisc_alpha(model.name, self.alpha))


class BlindTokensOnly(SecondPass):
    """Sees the blind tokens alone."""

    needs_attention = True

    def __init__(self, decoding: AvisC, alpha: float) -> None:
        from .logit_contrast import LogitContrast, linear_mix

        super().__init__(LogitContrast(linear_mix(alpha), decoding.beta))
        self._decoding = decoding
        self._found: dict[int, BlindTokens] = {}

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts without the tokens that are not blind."""
        from ...models.lvlm.contrastive.weakened_prompts import left_out
        from .blind_tokens import find_blind_tokens

        decoding = self._decoding
        found = [find_blind_tokens(rows, decoding.gamma, decoding.threshold) for rows in prompt.attention]
        # By case: a batch that did not fit into memory is answered again in parts, which hold the same cases.
        self._found |= {id(case): blind for case, blind in zip(prompt.prepared.cases, found, strict=True)}
        return left_out(prompt, [~blind.blind for blind in found], decoding.scheme, decoding.seed)

    def blind_tokens(self, case: Case) -> BlindTokens:
        """The choice for a case."""
        return self._found[id(case)]
