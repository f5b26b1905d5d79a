"""VCD: answers against those to a noised picture (Leng et al., arXiv 2311.16922).

What a model says as well of a picture that noise has blurred, it says from habit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...settings import setting
from .base import PICKING, ContrastiveDecoding, SecondPass, alpha_setting

if TYPE_CHECKING:
    from ...models.conversation.case import Prepared
    from ...models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt
    from ...models.lvlm.contrastive.weakened_prompts import PictureEmbeddings
    from ...models.lvlm.model import LvlmModel

NOISE_STEPS = 1000
_LEAST, _MOST = 1e-5, 5e-3  # of the variance that a step takes away
_SLOPE = 6.0


@dataclass(frozen=True)
class VCD(ContrastiveDecoding):
    """Visual contrastive decoding.

    alpha: how much the second pass counts against the answer, 0 or more. noise_step: the step of forward diffusion that
    the picture has reached, counted from 0 (a trace of noise) as the authors' code counts; NOISE_STEPS is their last.
    """

    name: ClassVar[str] = "VCD"
    sees: ClassVar[str] = "a noisy picture"
    order: ClassVar[tuple[str, ...]] = ("alpha", "noise_step", *PICKING)
    alpha: float = alpha_setting(1.0)
    noise_step: int = setting(
        500,
        0,
        NOISE_STEPS,
        "How noisy the second reading's picture is; 0: hardly at all.",
        short="how noisy the picture is",
        unit="step",
    )

    @property
    def draws(self) -> bool:
        """Always: the noise is drawn too."""
        return True

    def second_pass(self, model: LvlmModel) -> SecondPass:
        """The picture under noise."""
        return NoisyPicture(self)


def share_left(noise_step: int) -> float:
    """How much of the picture's variance is left at a step: it and each before it take away a little more than the
    last, the shares rising along a sigmoid."""
    import torch

    taken = torch.linspace(-_SLOPE, _SLOPE, NOISE_STEPS, dtype=torch.float64).sigmoid() * (_MOST - _LEAST) + _LEAST
    return float((1 - taken[: noise_step + 1]).prod())


class NoisyPicture(SecondPass):
    """Sees the picture under noise."""

    def __init__(self, decoding: VCD) -> None:
        from .logit_contrast import LogitContrast, linear_mix

        super().__init__(LogitContrast(linear_mix(decoding.alpha), decoding.beta))
        self._decoding = decoding
        self._noised: list[PictureEmbeddings] = []

    def begin(self, model: LvlmModel, prepared: Prepared) -> None:
        """Have the noised pictures encoded: beforehand, since models remember the positions of what they encode."""
        from ...models.lvlm.contrastive.weakened_prompts import noised_pictures

        self._noised = noised_pictures(model, prepared, share_left(self._decoding.noise_step), self._decoding.seed)

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts with the noised pictures."""
        from ...models.lvlm.contrastive.weakened_prompts import with_other_pictures

        noised, self._noised = self._noised, []
        return with_other_pictures(prompt, noised)
