"""How the words of an answer are chosen: the kinds there are, and how each is done locally and on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InvalidInput
from ..progress import Progress

if TYPE_CHECKING:
    from ..models.lvlm.case import Prepared, Reply
    from ..models.lvlm.model import LvlmModel


@dataclass(frozen=True)
class Decoding:
    """The base of all kinds. `name` is what people choose."""

    @property
    def name(self) -> str:
        return kind_of(self).name


@dataclass(frozen=True)
class Greedy(Decoding):
    """Always the likeliest token: the same answer each time."""


@dataclass(frozen=True)
class Sample(Decoding):
    """Tokens drawn by chance: the same seed gives the same answer to the same case, alone or in a batch.

    temperature: above 0; below 1 likely tokens become likelier. top_p: only the likeliest tokens that together have
    this probability, above 0, 1 for all. top_k: only so many, 0 for all; not every server knows it.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise InvalidInput(f"The temperature must be above 0, not {self.temperature}. For 0 decode greedily.")
        if not 0 < self.top_p <= 1:
            raise InvalidInput(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if self.top_k < 0 or self.seed < 0:
            raise InvalidInput(f"top_k and seed must be 0 or more, not {self.top_k} and {self.seed}.")


OnToken = Callable[[int, str], None]


class Locally(Protocol):
    """Decodes the answers of prepared cases with a local model."""

    def __call__(
        self,
        model: LvlmModel,
        prepared: Prepared,
        decoding: Any,
        *,
        max_new_tokens: int,
        on_token: OnToken | None,
        on_progress: Progress,
    ) -> Sequence[Reply]: ...


def _greedily(
    model: LvlmModel,
    prepared: Prepared,
    decoding: Greedy,
    *,
    max_new_tokens: int,
    on_token: OnToken | None,
    on_progress: Progress,
) -> Sequence[Reply]:
    return model.generate(prepared, max_new_tokens=max_new_tokens, on_token=on_token, on_progress=on_progress)


def _by_chance(
    model: LvlmModel,
    prepared: Prepared,
    decoding: Sample,
    *,
    max_new_tokens: int,
    on_token: OnToken | None,
    on_progress: Progress,
) -> Sequence[Reply]:
    from ..models.lvlm.sampling import Sampling

    sampling = Sampling(decoding.temperature, decoding.top_p, decoding.top_k, decoding.seed)
    return model.generate(
        prepared, max_new_tokens=max_new_tokens, sampling=sampling, on_token=on_token, on_progress=on_progress
    )


def _sample_settings(decoding: Sample) -> dict[str, float]:
    settings: dict[str, float] = {"temperature": decoding.temperature, "top_p": decoding.top_p, "seed": decoding.seed}
    return settings | ({"top_k": decoding.top_k} if decoding.top_k else {})


@dataclass(frozen=True)
class Kind:
    """A kind of decoding.

    on_server: its settings there; None where it needs the model itself and not only its answers. needs_places: whether
    it has to know where in the picture each image token lies.
    """

    name: str
    settings: type[Decoding]
    locally: Locally
    on_server: Callable[[Any], Mapping[str, float]] | None
    needs_places: bool = False


DECODINGS: tuple[Kind, ...] = (
    Kind("greedy", Greedy, _greedily, lambda decoding: {"temperature": 0.0}),
    Kind("sample", Sample, _by_chance, _sample_settings),
)


def kind_of(decoding: Decoding) -> Kind:
    """The entry of DECODINGS for these settings."""
    for kind in DECODINGS:
        if type(decoding) is kind.settings:
            return kind
    known = ", ".join(kind.settings.__name__ for kind in DECODINGS)
    raise InvalidInput(f"{type(decoding).__name__} is no way of decoding. Use one of {known}.")
