"""Prompts that show less: image tokens left out, or another picture in the place of the one asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ....autograd import frozen, without_autocast
from ....choices import Scheme
from ....errors import UnsupportedModel
from ...conversation.case import Prepared
from ..model import LvlmModel
from .decoder_call import EMBEDDINGS, close_up, per_image_token_tensors
from .second_pass import PromptState, WeakenedPrompt, all_image_positions, replaced_forward


def left_out(prompt: PromptState, tokens: Sequence[Tensor], scheme: Scheme, seed: int = 0) -> WeakenedPrompt:
    """The prompts without some of their image tokens. tokens: of each case, bool [n]. seed: of the noise, for each case
    by itself, where the case has none of its own.

    What a decoder adds to its image tokens on the way is left out with them. Positions stay as they are.
    """
    embeddings = prompt.embeddings.clone()
    places = torch.zeros(embeddings.shape[:2], dtype=torch.bool)
    own = [seed if case.seed is None else case.seed for case in prompt.prepared.cases]
    for case, (columns, gone) in enumerate(zip(prompt.columns, tokens, strict=True)):
        places[case, columns[gone]] = True
        kind = (int(gone.sum()), embeddings.shape[2])
        if scheme == "noise":
            filling = torch.randn(kind, generator=torch.Generator().manual_seed(own[case]))
        else:
            filling = torch.full(kind, 1.0 if scheme == "ones" else 0.0)
        embeddings[case, columns[gone].to(embeddings.device)] = filling.to(embeddings)
    flat = torch.cat(list(tokens)).to(embeddings.device)
    added = {
        name: [part.masked_fill(flat[:, None], 0) for part in parts]
        for name, parts in per_image_token_tensors(prompt.arguments, len(flat)).items()
    }
    hidden = places.to(embeddings.device) if scheme == "attention mask" else None
    return WeakenedPrompt({EMBEDDINGS: embeddings, **added}, hidden)


def taken_out(prompt: PromptState) -> WeakenedPrompt:
    """The prompts without their image tokens: what stood behind them closes up, as if they had never been written."""
    gone = torch.zeros(prompt.embeddings.shape[:2], dtype=torch.bool)
    for case, columns in enumerate(prompt.columns):
        gone[case, columns] = True
    padding = torch.tensor([row.padding for row in prompt.prepared.rows])
    closed = close_up(prompt.arguments, gone, padding)
    return WeakenedPrompt(closed.arguments, closed.hidden, True, closed.earlier)


@dataclass(frozen=True)
class PictureEmbeddings:
    """What a decoder would get of the pictures of one case: at its image tokens, and on the way."""

    embeddings: Tensor
    added: Mapping[str, list[Tensor]]


def with_other_pictures(prompt: PromptState, others: Sequence[PictureEmbeddings]) -> WeakenedPrompt:
    """The prompts with other embeddings of their pictures, one for each case."""
    embeddings = prompt.embeddings.clone()
    for case, (columns, other) in enumerate(zip(prompt.columns, others, strict=True)):
        embeddings[case, columns.to(embeddings.device)] = other.embeddings.to(embeddings)
    added = {
        name: [torch.cat(parts) for parts in zip(*(other.added[name] for other in others), strict=True)]
        for name in per_image_token_tensors(prompt.arguments, sum(map(len, prompt.columns)))
    }
    return WeakenedPrompt({EMBEDDINGS: embeddings, **added})


def noised_pictures(model: LvlmModel, prepared: Prepared, share: float, seed: int) -> list[PictureEmbeddings]:
    """The picture embeddings of each case under noise in the pixels as the model gets them.

    share: of the variance that is left of the picture, 0..1; the rest is normal noise. Every case is encoded by itself
    with noise of the same seed, or of its own, so what it gets does not depend on the batch.
    """
    found = []
    for case in prepared.cases:
        alone = model.prepare([case], with_places=False, thinking=prepared.thinking)
        generator = torch.Generator().manual_seed(seed if case.seed is None else case.seed)
        noised = {
            name: _noised(value, share, generator) if value.is_floating_point() else value
            for name, value in alone.inputs.items()
        }
        found.append(_embedded(model, replace(alone, inputs=noised)))
    return found


def _noised(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(pixels.shape, generator=generator)
    return (share**0.5 * pixels.float() + (1 - share) ** 0.5 * noise).to(pixels.dtype)


class _StopForward(Exception):
    """No error: how a pass is ended before the decoder."""


def _embedded(model: LvlmModel, prepared: Prepared) -> PictureEmbeddings:
    """What the decoder is called with for one case, without running it."""
    seen: dict[str, Any] = {}

    def catch(*_: Any, **arguments: Any) -> Any:
        seen.update(arguments)
        raise _StopForward

    decoder = model.family.decoder(model.module)
    with frozen(), without_autocast(model.device.type), replaced_forward(decoder, catch), suppress(_StopForward):
        model.module(**model.to_device(prepared.inputs), use_cache=False)
    if EMBEDDINGS not in seen:
        raise UnsupportedModel(f"{model.name} does not show its decoder the picture as embeddings.")
    (columns,) = all_image_positions(model, prepared)
    own = cast(Tensor, seen[EMBEDDINGS])[0, columns.to(model.device)]
    return PictureEmbeddings(own, per_image_token_tensors(seen, len(columns)))
