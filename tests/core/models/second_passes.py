"""Second passes of a contrastive decoding, which remember the scores of both; and questions to ask with them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from pack.api_core.choices import Scheme
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt, contrastive_decoding
from pack.api_core.models.lvlm.contrastive.weakened_prompts import (
    left_out,
    noised_pictures,
    taken_out,
    with_other_pictures,
)
from pack.tests import zoo
from torch import Tensor

Models = Callable[[str], Any]
Choose = Callable[[int], Tensor]
LENGTH = 5
ALPHA = 2.5
ALL = [name for name in (*zoo.FAMILIES, *zoo.FURTHER) if not zoo.cannot_answer(name)]
FEW = ("llava-1.5", "qwen3-vl", "qwen3.5", "gemma3", "gemma4", "paligemma", "instructblip")


def case(height: int, width: int, question: str) -> Case:
    return Case((torch.rand(height, width, 3, generator=torch.Generator().manual_seed(height)),), question)


CASES = (case(60, 80, "Where is the blue star on the left?"), case(90, 50, "Red?"), case(64, 64, "How many are there?"))


def none(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.bool)


def every(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.bool)


def every_other(count: int) -> Tensor:
    return torch.arange(count) % 2 == 0


class Without:
    """A second pass without some image tokens; remembers the scores of both."""

    def __init__(
        self, choose: Choose, scheme: Scheme = "zeros", alpha: float = ALPHA, needs_attention: bool = False
    ) -> None:
        self.needs_attention = needs_attention
        self.alpha = alpha
        self.plain: list[Tensor] = []
        self.weakened: list[Tensor] = []
        self.attention: tuple[dict[int, Tensor], ...] = ()
        self._choose = choose
        self._scheme = scheme

    def begin(self, model: Any, prepared: Any) -> None:
        pass

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        self.attention = prompt.attention
        return left_out(prompt, [self._choose(len(columns)) for columns in prompt.columns], self._scheme)

    def combine_logits(self, plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        assert step == len(self.plain)
        self.plain.append(plain)
        self.weakened.append(weakened)
        return (1 + self.alpha) * plain - self.alpha * weakened


class Noised(Without):
    """A second pass of noised pictures."""

    def __init__(self, share: float) -> None:
        super().__init__(none)
        self._share = share
        self._pictures: Any = None

    def begin(self, model: Any, prepared: Any) -> None:
        self._pictures = noised_pictures(model, prepared, self._share, 3)

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        return with_other_pictures(prompt, self._pictures)


class NoPicture(Without):
    """A second pass without any image token."""

    def __init__(self, alpha: float = ALPHA) -> None:
        super().__init__(every, alpha=alpha)

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        return taken_out(prompt)


def tokens(model: Any, cases: Sequence[Case], contrast: Any = None, **more: Any) -> list[tuple[int, ...]]:
    prepared = model.prepare(cases, with_places=False)
    return [reply.token_ids for reply in generated(model, prepared, contrast, **more)]


def generated(model: Any, prepared: Any, contrast: Any, length: int = LENGTH, **more: Any) -> list[Any]:
    around = None if contrast is None else partial(contrastive_decoding, model, contrast)
    return model.generate(prepared, max_new_tokens=length, around=around, **more)  # type: ignore[no-any-return]
