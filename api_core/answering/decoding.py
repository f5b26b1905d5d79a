"""What a way of choosing the words of an answer is: its settings, and how it is done here and on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from ..settings import Setting, settings_of

if TYPE_CHECKING:
    from ..models.conversation.case import Prepared, Reply
    from ..models.vision_language import VisionLanguageModel
    from .contrastive.blind_tokens import BlindTokens

OnToken = Callable[[int, str], None]
Generate = Callable[..., "Sequence[Reply]"]


@dataclass(frozen=True)
class DecodedReply:
    """A reply, and the image tokens that were found blind, by a decoding that looks for them."""

    reply: Reply
    blind: BlindTokens | None = None


@dataclass(frozen=True)
class Decoding:
    """The base of all decodings, which are data. torch is imported where one decodes, not where it is chosen.

    name: what people choose. order: of its settings in the node, where it is not that of the fields. needs_layout:
    whether it finds something out about image tokens that can be shown where they lie in the picture. passes: how often
    it has the model read a prompt.
    """

    name: ClassVar[str] = ""
    order: ClassVar[tuple[str, ...]] = ()
    needs_layout: ClassVar[bool] = False
    passes: ClassVar[int] = 1

    @property
    def draws(self) -> bool:
        """Whether chance, and with it the seed, decides anything."""
        return False

    @classmethod
    def settings(cls) -> tuple[Setting, ...]:
        """What can be set, but for the seed."""
        return settings_of(cls, cls.order)

    @classmethod
    def of(cls, values: Mapping[str, Any], seed: int) -> Decoding:
        """From the values of settings; the seed is for those that have one."""
        has_seed = any(field.name == "seed" for field in fields(cls))
        return cls(**values, **({"seed": seed} if has_seed else {}))

    def resolved_for(self, model: str) -> Decoding:
        """These settings for a model, by its name: what is left to the model is filled in, for the record."""
        return self

    def decode(self, model: VisionLanguageModel, prepared: Prepared, generate: Generate) -> Sequence[DecodedReply]:
        """The replies to prepared cases by a model on this machine. generate: the model's, for these cases, its limit
        and callbacks given."""
        raise NotImplementedError

    def for_server(self) -> Mapping[str, float] | None:
        """What a server is told; None where the model itself is needed and not only its answers."""
        return None
