"""What the calibrated decodings have in common: a second reading, and how tokens are picked of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from ...errors import InvalidInput
from ...models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt
from ...progress import Progress
from ..kind import Decoded, Decoding, OnToken
from ..plain import require_draw
from .contrast import Contrast

if TYPE_CHECKING:
    from ...models.conversation.case import Case, Prepared
    from ...models.lvlm.model import LvlmModel
    from .blind_tokens import BlindTokens


@dataclass(frozen=True)
class Calibrated(Decoding):
    """The base of decodings from two readings.

    beta: tokens less likely to the plain reading than this times its likeliest one are never taken, 0..1; 0 allows all,
    1 leaves plain greedy decoding. temperature: 0 takes the best token; above, tokens are drawn, as in `Sample`, with
    top_p, top_k and seed. The papers draw with temperature 1.
    """

    beta: float = 0.1
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise InvalidInput(f"beta must be from 0 to 1, not {self.beta}.")
        if not 0 <= self.temperature < math.inf:
            raise InvalidInput(f"The temperature must be 0 (the best token) or more, not {self.temperature}.")
        require_draw(self.top_p, self.top_k, self.seed)

    def against(self, model: LvlmModel) -> Against:
        """The second reading of this model's prompts."""
        raise NotImplementedError


def require_weight(name: str, value: float) -> None:
    """Raise InvalidInput for a weight that is not a finite number of 0 or more."""
    if not 0 <= value < math.inf:
        raise InvalidInput(f"{name} must be 0 or more, not {value}.")


class Against:
    """The base of second readings, as `ContrastPass` has them."""

    needs_attention = False

    def __init__(self, contrast: Contrast) -> None:
        self._contrast = contrast

    def begin(self, model: LvlmModel, prepared: Prepared) -> None:
        """Nothing, for readings that only leave things out."""

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts as this reading gets them."""
        raise NotImplementedError

    def combine_logits(self, plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        """The scores that tokens are picked from."""
        return self._contrast.join(plain, weakened, step)

    def blind_tokens(self, case: Case) -> BlindTokens | None:
        """Those of a case that was read, by a reading that looks for them."""
        return None


def decode_calibrated(
    model: LvlmModel,
    prepared: Prepared,
    decoding: Calibrated,
    *,
    max_new_tokens: int,
    on_token: OnToken | None,
    on_progress: Progress,
) -> Sequence[Decoded]:
    """The replies from two readings, picked as the decoding says."""
    from ...models.lvlm.contrastive.second_pass import contrastive_decoding
    from ...models.lvlm.generate.sampling import Sampling

    contrast = decoding.against(model)
    draws = (
        Sampling(decoding.temperature, decoding.top_p, decoding.top_k, decoding.seed) if decoding.temperature else None
    )
    replies = model.generate(
        prepared,
        max_new_tokens=max_new_tokens,
        sampling=draws,
        around=partial(contrastive_decoding, model, contrast),
        on_token=on_token,
        on_progress=on_progress,
    )
    return [Decoded(reply, contrast.blind_tokens(case)) for case, reply in zip(prepared.cases, replies, strict=True)]
