"""From values of a model's image tokens to a map over the picture: what methods that look inside it have in common."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...geometry import compose
from ...models.conversation.case import Row
from ...models.lvlm.inputs.token_views import views_of_pictures
from ..lvlm_subject import AnswerSubject

_SIDE = 32


def token_row(subject: AnswerSubject) -> Row:
    """The prompt with the places of its image tokens; raises UnsupportedModel where they have none."""
    subject.model.family.require_places(subject.model.config)
    return subject.model.prepare([subject.case]).rows[0]


def map_of_tokens(subject: AnswerSubject, row: Row, values: Tensor) -> Tensor:
    """Values [n] of every image token of the prompt as importance [32, 32] over the first picture."""
    sizes = [(picture.shape[0], picture.shape[1]) for picture in subject.case.pictures]
    views = views_of_pictures(row, values.detach().float().cpu()[None], "precise", sizes)[0]
    whole = compose(views, sizes[0], "bilinear")
    return F.interpolate(whole[None], (_SIDE, _SIDE), mode="bilinear", align_corners=True)[0, 0]


def whole_picture(subject: AnswerSubject) -> Tensor:
    """The weights [1, P] that show all of the picture."""
    return subject.lift(torch.ones(1, 2, 2))
