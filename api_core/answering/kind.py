"""What a kind of decoding is: its settings, and how it is done locally and on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..progress import Progress

if TYPE_CHECKING:
    from ..models.conversation.case import Prepared, Reply
    from ..models.lvlm.model import LvlmModel
    from .calibrated.blind_tokens import BlindTokens

OnToken = Callable[[int, str], None]


@dataclass(frozen=True)
class Decoding:
    """The base of all kinds. `name` is what people choose."""

    name: ClassVar[str] = ""

    def on(self, model: str) -> Decoding:
        """These settings on a model, by its name: what is left to the model is filled in, for the record."""
        return self


@dataclass(frozen=True)
class Decoded:
    """A reply, and the image tokens that were found blind, by a kind that looks for them."""

    reply: Reply
    blind: BlindTokens | None = None


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
    ) -> Sequence[Decoded]: ...


@dataclass(frozen=True)
class Kind:
    """A kind of decoding.

    on_server: its settings there; None where it needs the model itself and not only its answers. wants_places: whether
    it finds something out about image tokens that can be shown where they lie in the picture. readings: how often it
    has the model read a prompt.
    """

    settings: type[Decoding]
    locally: Locally
    on_server: Callable[[Any], Mapping[str, float]] | None
    wants_places: bool = False
    readings: int = 1

    @property
    def name(self) -> str:
        return self.settings.name
