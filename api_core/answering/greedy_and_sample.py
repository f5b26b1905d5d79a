"""Decoding from one pass over the prompt: the likeliest words, or words by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import InvalidInput
from ..settings import require_in_range, require_seed, setting
from .decoding import DecodedReply, Decoding, Generate

if TYPE_CHECKING:
    from ..models.conversation.case import Prepared
    from ..models.vision_language import VisionLanguageModel


def temperature_setting(default: float, least: float, advanced: bool = False) -> Any:
    """The field `temperature`."""
    return setting(
        default,
        0.0,
        describes="Below 1 likely words become likelier; above 1 chance counts more. 0: no chance, the best word.",
        short="above 0 words are drawn",
        reach=(least, 5.0),
        step=0.05,
        advanced=advanced,
    )


def top_p_setting(default: float, advanced: bool = False) -> Any:
    """The field `top_p`."""
    return setting(
        default,
        0.0,
        1.0,
        "Words are chosen among the likeliest that together reach this share; 1: among all.",
        short="drawn among the likeliest",
        reach=(0.01, 1.0),
        step=0.01,
        advanced=advanced,
    )


def top_k_setting(advanced: bool = False) -> Any:
    """The field `top_k`."""
    return setting(
        0,
        0,
        describes="Words are chosen among so many of the likeliest; 0: among all.",
        short="drawn among so many, 0: all",
        reach=(0, 1000),
        advanced=advanced,
    )


@dataclass(frozen=True)
class Greedy(Decoding):
    """Always the likeliest token: the same answer each time."""

    name: ClassVar[str] = "greedy"

    def decode(self, model: VisionLanguageModel, prepared: Prepared, generate: Generate) -> Sequence[DecodedReply]:
        """One reply for each case."""
        return [DecodedReply(reply) for reply in generate()]

    def for_server(self) -> Mapping[str, float]:
        """No chance."""
        return {"temperature": 0.0}


@dataclass(frozen=True)
class Sample(Decoding):
    """Tokens drawn by chance: the same seed gives the same answer to the same case, alone or in a batch.

    temperature: above 0; below 1 likely tokens become likelier. top_p: only the likeliest tokens that together have
    this probability, above 0, 1 for all. top_k: only so many, 0 for all; not every server knows it.
    """

    name: ClassVar[str] = "sample"
    temperature: float = temperature_setting(0.7, least=0.01)
    top_p: float = top_p_setting(0.95)
    top_k: int = top_k_setting()
    seed: int = 0

    def __post_init__(self) -> None:
        require_in_range(self)
        if not self.temperature:
            raise InvalidInput(f"The temperature must be above 0, not {self.temperature}. For 0 decode greedily.")
        require_draw(self.top_p, self.seed)

    @property
    def draws(self) -> bool:
        """Always."""
        return True

    def decode(self, model: VisionLanguageModel, prepared: Prepared, generate: Generate) -> Sequence[DecodedReply]:
        """One reply for each case."""
        from ..models.lvlm.generate.sampling import Sampling

        sampling = Sampling(self.temperature, self.top_p, self.top_k, self.seed)
        return [DecodedReply(reply) for reply in generate(sampling=sampling)]

    def for_server(self) -> Mapping[str, float]:
        """The settings; top_k only where it does something, as not every server knows it."""
        settings: dict[str, float] = {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}
        return settings | ({"top_k": self.top_k} if self.top_k else {})


def require_draw(top_p: float, seed: int) -> None:
    """Raise InvalidInput for settings in their range that nothing can be drawn with."""
    if not top_p:
        raise InvalidInput(f"top_p must be above 0 and at most 1, not {top_p}.")
    require_seed(seed)
