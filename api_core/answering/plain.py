"""Decoding from one reading of the prompt: the likeliest words, or words by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import InvalidInput
from ..progress import Progress
from .kind import Decoded, Decoding, OnToken

if TYPE_CHECKING:
    from ..models.conversation.case import Prepared
    from ..models.lvlm.model import LvlmModel


@dataclass(frozen=True)
class Greedy(Decoding):
    """Always the likeliest token: the same answer each time."""

    name: ClassVar[str] = "greedy"


@dataclass(frozen=True)
class Sample(Decoding):
    """Tokens drawn by chance: the same seed gives the same answer to the same case, alone or in a batch.

    temperature: above 0; below 1 likely tokens become likelier. top_p: only the likeliest tokens that together have
    this probability, above 0, 1 for all. top_k: only so many, 0 for all; not every server knows it.
    """

    name: ClassVar[str] = "sample"
    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise InvalidInput(f"The temperature must be above 0, not {self.temperature}. For 0 decode greedily.")
        require_draw(self.top_p, self.top_k, self.seed)


def require_draw(top_p: float, top_k: int, seed: int) -> None:
    """Raise InvalidInput for settings that nothing can be drawn with."""
    if not 0 < top_p <= 1:
        raise InvalidInput(f"top_p must be above 0 and at most 1, not {top_p}.")
    if top_k < 0 or not 0 <= seed < 1 << 64:
        raise InvalidInput(f"top_k and seed must be 0 or more (the seed below 2^64), not {top_k} and {seed}.")


def decode_greedily(
    model: LvlmModel,
    prepared: Prepared,
    decoding: Greedy,
    *,
    max_new_tokens: int,
    on_token: OnToken | None,
    on_progress: Progress,
) -> Sequence[Decoded]:
    replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_token=on_token, on_progress=on_progress)
    return [Decoded(reply) for reply in replies]


def decode_by_chance(
    model: LvlmModel,
    prepared: Prepared,
    decoding: Sample,
    *,
    max_new_tokens: int,
    on_token: OnToken | None,
    on_progress: Progress,
) -> Sequence[Decoded]:
    from ..models.lvlm.generate.sampling import Sampling

    sampling = Sampling(decoding.temperature, decoding.top_p, decoding.top_k, decoding.seed)
    replies = model.generate(
        prepared, max_new_tokens=max_new_tokens, sampling=sampling, on_token=on_token, on_progress=on_progress
    )
    return [Decoded(reply) for reply in replies]


def sample_settings(decoding: Sample) -> Mapping[str, float]:
    """What a server is told."""
    settings: dict[str, float] = {"temperature": decoding.temperature, "top_p": decoding.top_p, "seed": decoding.seed}
    return settings | ({"top_k": decoding.top_k} if decoding.top_k else {})
