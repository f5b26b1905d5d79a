"""What the contrastive decodings have in common: a second pass over a weakened prompt, and how tokens are picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ...settings import require_in_range, setting
from ..decoding import DecodedReply, Decoding, Generate
from ..greedy_and_sample import require_draw, temperature_setting, top_k_setting, top_p_setting

if TYPE_CHECKING:
    from torch import Tensor

    from ...models.conversation.case import Case, Prepared
    from ...models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt
    from ...models.lvlm.model import LvlmModel
    from ...models.vision_language import VisionLanguageModel
    from .blind_tokens import BlindTokens
    from .logit_contrast import LogitContrast


PICKING = ("beta", "temperature", "top_p", "top_k")
"""The settings that all of them have."""


@dataclass(frozen=True)
class ContrastiveDecoding(Decoding):
    """The base of decodings from two passes.

    beta: tokens less likely to the plain pass than this times its likeliest one are never taken, 0..1; 0 allows all,
    1 leaves plain greedy decoding. temperature: 0 takes the best token; above, tokens are drawn, as in `Sample`, with
    top_p, top_k and seed. The papers draw with temperature 1.
    """

    passes: ClassVar[int] = 2
    sees: ClassVar[str] = ""
    """What its second pass sees, in words."""

    beta: float = setting(
        0.1,
        0.0,
        1.0,
        "Words that are not this likely, measured by the likeliest, are never taken. 1: as greedy.",
        short="how likely a word has to be at all",
        step=0.05,
        advanced=True,
    )
    temperature: float = temperature_setting(0.0, least=0.0, advanced=True)
    top_p: float = top_p_setting(1.0, advanced=True)
    top_k: int = top_k_setting(advanced=True)
    seed: int = 0

    def __post_init__(self) -> None:
        require_in_range(self)
        require_draw(self.top_p, self.seed)

    @property
    def draws(self) -> bool:
        """Where there is a temperature."""
        return self.temperature > 0

    def second_pass(self, model: LvlmModel) -> SecondPass:
        """What this model's prompts are read against."""
        raise NotImplementedError

    def decode(self, model: VisionLanguageModel, prepared: Prepared, generate: Generate) -> Sequence[DecodedReply]:
        """One reply for each case, its tokens picked of both passes."""
        from ...models.lvlm.contrastive.second_pass import contrastive_decoding
        from ...models.lvlm.generate.sampling import Sampling
        from ...models.vision_language import require

        require(model, "second passes", f"The decoding {self.name}")
        own = cast("LvlmModel", model)
        second = self.second_pass(own)
        draws = Sampling(self.temperature, self.top_p, self.top_k, self.seed) if self.temperature else None
        replies = generate(sampling=draws, around=partial(contrastive_decoding, own, second))
        return [
            DecodedReply(reply, second.blind_tokens(case)) for case, reply in zip(prepared.cases, replies, strict=True)
        ]


def alpha_setting(default: float | None) -> Any:
    """The field `alpha`, the weight of the second pass; None is the model's own."""
    return setting(
        default,
        0.0,
        describes="How much the second reading counts against the answer; 0: not at all. "
        "Below 0: the model's own value.",
        short="how much the second reading counts against",
        reach=(0.0, 20.0),
        step=0.1,
        own=-1.0 if default is None else None,
    )


class SecondPass:
    """The base of what is read the second time, a `ContrastPass` of the models."""

    needs_attention = False

    def __init__(self, contrast: LogitContrast) -> None:
        self._contrast = contrast

    def begin(self, model: LvlmModel, prepared: Prepared) -> None:
        """Nothing, for passes that only leave things out."""

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts as this pass gets them."""
        raise NotImplementedError

    def combine_logits(self, plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        """The scores that tokens are picked from."""
        return self._contrast.combine(plain, weakened, step)

    def blind_tokens(self, case: Case) -> BlindTokens | None:
        """Those of a case that was read, by a pass that looks for them."""
        return None
