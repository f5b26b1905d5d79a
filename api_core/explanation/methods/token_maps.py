"""From values of a model's image tokens to a map over the picture: what methods that look inside it have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ...geometry import compose
from ...models.conversation.case import PromptRow
from ...models.lvlm.inputs.token_views import views_of_pictures
from ...models.vision_language import require
from ...results import View
from ..answer_scores import AnswerScores
from ..method import SIDE


def token_row(objective: AnswerScores) -> PromptRow:
    """The prompt with the places of its image tokens; raises UnsupportedModel where they have none."""
    require(objective.model, "places")
    return objective.model.prepare([objective.case]).rows[0]


def map_of_tokens(objective: AnswerScores, row: PromptRow, values: Tensor) -> Tensor:
    """Values [n] of every image token of the prompt as importance [32, 32] over the first picture."""
    sizes = [(picture.shape[0], picture.shape[1]) for picture in objective.case.pictures]
    return map_of_views(views_of_pictures(row, values.detach().float().cpu()[None], "precise", sizes)[0], sizes[0])


def map_of_views(views: Sequence[View], size: tuple[int, int]) -> Tensor:
    """Views of one label over a picture (H, W) as importance [32, 32]."""
    whole = compose(views, size, "bilinear")
    return F.interpolate(whole[None], (SIDE, SIDE), mode="bilinear", align_corners=True)[0, 0]
