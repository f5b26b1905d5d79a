"""The model's own attention while it answers, as the LVLM heatmap reads it: not what it needed, but where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...attribution.lvlm.heatmap import PART, lvlm_heatmap
from ...geometry import compose
from ...models.lvlm.case import Reply
from ...results import Label
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
    read = lvlm_heatmap(
        given.model,
        [given.case.pictures[0]],
        given.case.question,
        answers=reply.text,
        more_pictures=[[picture] for picture in given.case.pictures[1:]],
        system_prompt=given.case.system_prompt,
        on_progress=given.on_progress,
    )
    picture = read.heatmap.pictures[0]
    shares = _shares(picture.labels, subject.tokens)
    wanted = [
        replace(view, values=torch.einsum("m,mhw->hw", shares, view.values)[None]) for view in picture.parts[PART]
    ]
    whole = compose(wanted, picture.size, "bilinear")
    return F.interpolate(whole[None], (_SIDE, _SIDE), mode="bilinear", align_corners=True)[0, 0]


def _shares(labels: Sequence[Label], tokens: Sequence[int]) -> Tensor:
    """How much each label's map counts: those of the answer's words that hold one of `tokens`, by their length.

    Found by their place, for a word may occur twice.
    """
    counts = [
        label.span[1] - label.span[0]
        if label.role == "answer word" and label.span and not set(range(*label.span)).isdisjoint(tokens)
        else 0
        for label in labels
    ]
    shares = torch.tensor(counts, dtype=torch.float32)
    return shares / shares.sum()


METHOD = ExplanationMethod("attention", find, "Where the model looked while it wrote these words; no gradients.")
