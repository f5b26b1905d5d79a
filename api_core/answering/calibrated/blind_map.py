"""Blind tokens shown where they lie in their pictures."""

from __future__ import annotations

from ...models.catalog import mask_defaults
from ...models.conversation.case import Case, PromptRow
from ...models.lvlm.inputs.token_views import views_of_pictures
from ...results import Heatmap, Label, PictureMap
from .blind_tokens import BlindTokens

METHOD = "blind tokens"


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
