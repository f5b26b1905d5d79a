"""The model's own attention while it answers, as the LVLM heatmap reads it: not what it needed, but where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

import torch
import torch.nn.functional as F
from torch import Tensor

from ...attribution.lvlm.heatmap import PART, lvlm_heatmap
from ...errors import InvalidInput
from ...geometry import compose
from ...models.conversation.case import Reply
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
    shares = _shares(picture.labels, reply, subject.tokens)
    wanted = [
        replace(view, values=torch.einsum("m,mhw->hw", shares, view.values)[None]) for view in picture.parts[PART]
    ]
    whole = compose(wanted, picture.size, "bilinear")
    return F.interpolate(whole[None], (_SIDE, _SIDE), mode="bilinear", align_corners=True)[0, 0]


def _shares(labels: Sequence[Label], reply: Reply, tokens: Sequence[int]) -> Tensor:
    """How much each label's map counts: those of the reply's words that hold one of `tokens`, by their length.

    A word is found by its text and how often that came before. By its tokens it cannot be: the heatmap reads the answer
    as text, without the thinking before it, and may cut it otherwise than the model wrote it.
    """
    chosen = [not set(range(word.first, word.last)).isdisjoint(tokens) for word in reply.words]
    wanted = set(compress(_numbered([word.text for word in reply.words]), chosen))
    spans = [(label.text, label.span) for label in labels if label.role == "answer word" and label.span]
    found = zip(_numbered([text for text, _ in spans]), (last - first for _, (first, last) in spans), strict=True)
    lengths = [length if key in wanted else 0 for key, length in found]
    if not any(lengths):
        raise InvalidInput(
            f"The explained words are not found again when the answer {reply.text!r} is read as text, so the model's "
            "attention cannot be told for them. Choose another method."
        )
    shares = torch.tensor([0] * (len(labels) - len(lengths)) + lengths, dtype=torch.float32)  # answer words come last
    return shares / shares.sum()


def _numbered(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Each text with how many of the same came before it."""
    return [(text, texts[:place].count(text)) for place, text in enumerate(texts)]


METHOD = ExplanationMethod("attention", find, "Where the model looked while it wrote these words; no gradients.")
