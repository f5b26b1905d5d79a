"""The model's own attention while it answers, as the LVLM heatmap reads it: not what it needed, but where it looked."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ...attribution.lvlm_heatmap import PART, lvlm_heatmap
from ...geometry import place
from ...results import Box
from ..method import Explaining, ExplanationMethod, Found

_SIDE = 32


def find(given: Explaining) -> Found:
    """The mean over the explained tokens' words, brought from the model's own grids to one over the picture."""
    words = [piece.text for piece in given.reply.words if set(range(piece.first, piece.last)) & {*given.subject.tokens}]
    read = lvlm_heatmap(
        given.model,
        [given.case.pictures[0]],
        given.case.question,
        answers=given.reply.text,
        hint_words=words,
        more_pictures=[[picture] for picture in given.case.pictures[1:]],
        system_prompt=given.case.system_prompt,
        on_progress=given.on_progress,
    )
    picture = read.heatmap.pictures[0]
    whole = torch.zeros(picture.size)
    for view in picture.parts[PART]:
        heat = (view.values[0] * view.valid)[None]
        whole += place(heat, view.box, picture.size, "bilinear")[0] * _inside(view.box, picture.size)
    cells = F.interpolate(whole[None, None], (_SIDE, _SIDE), mode="bilinear", align_corners=True, antialias=False)
    return Found(cells[0, 0], 1)


def _inside(box: Box, size: tuple[int, int]) -> torch.Tensor:
    """1 where a pixel of the picture lies in the box: [H, W]."""
    y, x = torch.arange(size[0])[:, None] + 0.5, torch.arange(size[1]) + 0.5
    return ((y >= box.top) & (y < box.bottom) & (x >= box.left) & (x < box.right)).float()


METHOD = ExplanationMethod("attention", find, "Where the model looked while it wrote these words; no gradients.")
