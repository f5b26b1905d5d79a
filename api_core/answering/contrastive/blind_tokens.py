"""AvisC's blind tokens: image tokens that get much attention whatever is asked (arXiv 2405.17820).

One decision per prompt, from the attention of its last row: the layers that look at the picture most, their mean over
heads and layers, and one threshold on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.catalog import mask_defaults
from ...models.conversation.case import Case, PromptRow
from ...models.lvlm.inputs.token_views import views_of_pictures
from ...results import Heatmap, Label, PictureMap

METHOD = "blind tokens"


@dataclass(frozen=True)
class BlindTokens:
    """layers: those that the choice was made on, most attentive first. shares: of all layers' attention to the picture,
    by layer. attention: float32 [n], of the chosen layers to each image token, picture after picture. blind: bool [n],
    the ones above the threshold; the second pass sees these alone.
    """

    layers: tuple[int, ...]
    shares: dict[int, float]
    attention: Tensor
    blind: Tensor


def find_blind_tokens(attention: dict[int, Tensor], gamma: float, threshold: float) -> BlindTokens:
    """Choose layers and tokens. attention: layer -> [n], the last row's mean over heads at the image tokens.

    gamma: the share of attention that the chosen layers reach together, the fewest that do, at least one. threshold:
    how many standard deviations above the mean a blind token lies. With fewer than two tokens all are blind: nothing is
    taken away.
    """
    totals = {layer: float(row.sum()) for layer, row in attention.items()}
    whole = sum(totals.values())
    shares = {layer: total / whole if whole > 0 else 1 / len(totals) for layer, total in totals.items()}
    ordered = sorted(shares, key=lambda layer: shares[layer], reverse=True)
    reached, chosen = 0.0, []
    for layer in ordered:
        chosen.append(layer)
        reached += shares[layer]
        if reached >= gamma:
            break
    mean = torch.stack([attention[layer].float() for layer in chosen]).mean(0)
    if len(mean) < 2:
        return BlindTokens(tuple(chosen), shares, mean, torch.ones_like(mean, dtype=torch.bool))
    # Compared without adding them up first: an infinite threshold must not meet a deviation of nothing.
    blind = (mean - mean.mean()) >= threshold * mean.std() if mean.std() > 0 else torch.full(mean.shape, threshold <= 0)
    return BlindTokens(tuple(chosen), shares, mean, blind)


def blind_map(row: PromptRow, case: Case, blind: BlindTokens, model_name: str) -> Heatmap | None:
    """A map of each picture of a case: 1 at blind tokens, 0 at others. None where the tokens have no known place."""
    if row.layouts is None:
        return None
    sizes = [(picture.shape[0], picture.shape[1]) for picture in case.pictures]
    views = views_of_pictures(row, blind.blind.float()[None], "precise", sizes)
    label = Label(METHOD, "whole")
    layer = blind.layers[0] if len(blind.layers) == 1 else None
    return Heatmap(
        tuple(
            PictureMap(size, (label,), {METHOD: own}, METHOD, model_name, layer, defaults=mask_defaults(model_name))
            for size, own in zip(sizes, views, strict=True)
        )
    )
