"""What heatmaps, asking and explaining need of a vision-language model, whoever loaded it and whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, SupportsIndex

import torch
from torch import Tensor

from ..errors import InvalidInput, UnsupportedModel
from ..progress import Progress
from .conversation.case import Case, Prepared, Reply
from .lvlm.attention.intercept import Read
from .lvlm.generate.batching import Around, OnToken
from .lvlm.generate.sampling import Sampling

Need = Literal["answers", "places", "gradients", "second passes", "the upstream reading"]
"""What not every model can do: write answers; tell where its image tokens lie; let gradients through; be read twice for
each token (as the calibrated decodings do); be shown pictures as the published code does."""

Enter = Callable[[int, Tensor], None]
"""Gets a layer and what enters it: [B, m, c]."""


class VisionLanguageModel(Protocol):
    """A model that reads pictures and a question, and whose attention can be read.

    name: what people call it. cases_at_once: how many cases one of its passes takes at most, 0 for as many as fit.
    """

    @property
    def name(self) -> str: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def cases_at_once(self) -> int: ...
    @property
    def depth(self) -> int:
        """Number of decoder layers."""

    @property
    def seeing_layers(self) -> tuple[int, ...]:
        """The layers whose attention can reach the whole picture."""

    def why_not(self, need: Need) -> str:
        """Why this model cannot do something, and what to do about it, for people; "" where it can."""

    def resolve_layers(self, layers: Sequence[int] | None = None) -> tuple[int, ...]:
        """Indices 0 … depth - 1 of decoder layers; negative ones count from the end, None is the model's default."""

    def prepare(self, cases: Sequence[Case], *, with_places: bool = True, thinking: bool = False) -> Prepared:
        """Cases as the model reads them. with_places: find where each image token lies in its picture. thinking:
        whether a model that can choose thinks before it answers."""

    def generate(
        self,
        prepared: Prepared,
        *,
        max_new_tokens: int = ...,
        sampling: Sampling | None = None,
        around: Around | None = None,
        on_token: OnToken | None = None,
        on_progress: Progress = ...,
    ) -> list[Reply]:
        """The answer to each row, greedily, or drawn with `sampling`."""

    def reply_of(
        self, token_ids: Sequence[int], log_probabilities: Sequence[float] = (), *, inside_thinking: bool = False
    ) -> Reply:
        """The answer that tokens spell."""

    def reply_of_text(self, text: str) -> Reply:
        """An answer from anywhere, as if the model had written it."""

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """The tokens of an answer as the model would have written it after its prompt, with its end token."""

    def reading(self, layers: Sequence[int], read: Read, enter: Enter | None = None) -> AbstractContextManager[None]:
        """Show `read` every attention call of these layers, and `enter` what enters them, while the model runs in the
        block. What either raises ends the model's pass; nothing is left behind."""

    def read_once(self, prepared: Prepared, replies: Sequence[Reply]) -> None:
        """Run each prompt and its reply, less the reply's last token, at once."""

    def log_likelihoods(self, prepared: Prepared, token_ids: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """How likely an answer's tokens (indices `tokens` of `token_ids`) are behind each prompt: float32 [B, T]."""

    def why_unread(self, layer: int) -> str:
        """What to say where a layer's attention could not be seen."""


def require(model: VisionLanguageModel, need: Need, wanted_by: str = "") -> None:
    """Raise UnsupportedModel, with the reason, where the model cannot do that. wanted_by: what it is needed for."""
    if found := model.why_not(need):
        raise UnsupportedModel(f"{wanted_by}: {found}" if wanted_by else found)


def resolve_layers(
    name: str, layers: Sequence[int] | None, depth: int, seeing: Sequence[int], wanted: Sequence[int]
) -> tuple[int, ...]:
    """Chosen layers as indices 0 … depth - 1; where none are chosen, of the `seeing` ones those nearest `wanted`."""
    if layers is not None and len(layers):
        for layer in layers:
            if not isinstance(layer, SupportsIndex) or not -depth <= layer < depth:
                raise InvalidInput(
                    f"{name} has no layer {layer}; its {depth} layers are 0 to {depth - 1}, or -{depth} to -1 from the "
                    "end."
                )
        return tuple(dict.fromkeys(int(layer) % depth for layer in layers))
    if not seeing:
        raise UnsupportedModel(f"{name} has no layer whose attention could be read. Use another model.")
    goals = [min(layer, depth - 1) for layer in wanted]
    nearest = (min(seeing, key=lambda layer: (abs(layer - goal), -layer)) for goal in goals)
    return tuple(dict.fromkeys(nearest))
