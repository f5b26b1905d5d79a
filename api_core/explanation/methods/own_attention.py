"""The model's own attention while it answers, as the LVLM heatmap reads it: not what it needed, but where it looked."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...attribution.lvlm.heatmap import PART, lvlm_heatmap
from ...geometry import compose
from ...models.lvlm.case import Reply
from ..lvlm_subject import AnswerSubject
from ..method import Explaining, ExplanationMethod, Found

_SIDE = 32


def find(given: Explaining) -> Found:
    """The mean over the explained tokens' words, brought from the model's own grids to one over the picture.

    Against another answer it is what is left when the attention for that one's words is taken away.
    """
    replies = [given.reply] + ([given.other] if given.other is not None else [])
    maps = [
        sign * _attention(given, reply, subject)
        for (sign, subject), reply in zip(given.subject.parts, replies, strict=True)
    ]
    return Found(torch.stack(maps).sum(0), len(maps))


def _attention(given: Explaining, reply: Reply, subject: AnswerSubject) -> Tensor:
    words = [piece.text for piece in reply.words if not set(range(piece.first, piece.last)).isdisjoint(subject.tokens)]
    read = lvlm_heatmap(
        given.model,
        [given.case.pictures[0]],
        given.case.question,
        answers=reply.text,
        hint_words=words,
        more_pictures=[[picture] for picture in given.case.pictures[1:]],
        system_prompt=given.case.system_prompt,
        on_progress=given.on_progress,
    )
    picture = read.heatmap.pictures[0]
    whole = compose([replace(view, values=view.values[:1]) for view in picture.parts[PART]], picture.size, "bilinear")
    return F.interpolate(whole[None], (_SIDE, _SIDE), mode="bilinear", align_corners=True)[0, 0]


METHOD = ExplanationMethod("attention", find, "Where the model looked while it wrote these words; no gradients.")
