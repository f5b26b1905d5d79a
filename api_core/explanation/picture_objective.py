"""The same question asked of any model: blends of whole pictures, read one by one, without gradients.

Where a model's own pixels can be blended and let gradients through, `AnswerObjective` does both; of others this needs
only that they say how likely an answer is behind a prompt.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.conversation.case import Case
from ..models.lvlm.inputs.processor import downscale_to
from ..models.lvlm.model import LvlmModel
from ..models.vision_language import VisionLanguageModel
from .answer_objective import AnswerObjective
from .answer_scores import AnswerScores
from .objective import Noise, Towards

MOST_PIXELS = 1 << 20
"""Of a blend: as many weights are in a mask."""


@dataclass(frozen=True)
class PictureBlends:
    """Blends of a picture and a baseline, both float32 [H, W, 3]: their weights are one for each pixel."""

    picture: Tensor
    baseline: Tensor

    @property
    def edge_image(self) -> Tensor:
        """The picture as [3, H, W]."""
        return self.picture.permute(2, 0, 1)

    def pixel_weights(self, masks: Tensor) -> Tensor:
        """Masks [K, rows, columns], their corner cells on the picture's corners, as weights [K, H W]."""
        down, right = (((torch.arange(side) + 0.5) / side * 2 - 1) for side in self.picture.shape[:2])
        grid = torch.stack(torch.meshgrid(right, down, indexing="xy"), -1).expand(len(masks), -1, -1, -1)
        return F.grid_sample(masks[:, None], grid, padding_mode="border", align_corners=True).flatten(1)

    def blend(self, weights: Tensor, towards: Towards, noise: Noise | None) -> dict[str, Tensor]:
        """The pictures [N, H, W, 3] of N blends, from weights [N, H W]."""
        shown, other = (self.picture, self.baseline) if towards == "picture" else (self.baseline, self.picture)
        made = torch.lerp(other, shown, weights.reshape(-1, *self.picture.shape[:2], 1))
        return {"pictures": made if noise is None else made + noise.like(made)}


class PictureObjective(AnswerScores):
    """The scores as a function of whole pictures."""

    bytes_per_blend = 0

    def __init__(
        self, model: VisionLanguageModel, case: Case, baseline: Tensor, token_ids: Sequence[int], tokens: Sequence[int]
    ) -> None:
        """baseline: [H, W, 3], the size of the first picture. token_ids: the answer's. tokens: indices of some."""
        self.model, self.case = model, case
        self.blends: PictureBlends = PictureBlends(
            *(downscale_to(one, MOST_PIXELS) for one in (case.pictures[0], baseline))
        )
        self.choose(token_ids, tokens)

    def against(self, baseline: Tensor) -> PictureObjective:
        """The same tokens with another baseline."""
        made = copy.copy(self)
        made.blends = replace(self.blends, baseline=downscale_to(baseline, MOST_PIXELS))
        return made

    def read(self, pixels: dict[str, Tensor], count: int) -> Tensor:
        """The log-likelihood of each chosen token under `count` blends: float32 [N, T]."""
        found = []
        for picture in pixels["pictures"][:count]:
            shown = replace(self.case, pictures=(picture, *self.case.pictures[1:]))
            prepared = self.model.prepare([shown], with_places=False)
            found.append(self.model.log_likelihoods(prepared, self.token_ids, self.tokens))
        return torch.cat(found)


def answer_objective(
    model: VisionLanguageModel, case: Case, baseline: Tensor, token_ids: Sequence[int], tokens: Sequence[int]
) -> AnswerScores:
    """The objective that a model allows: of its own pixels where gradients pass, else of whole pictures."""
    if model.why_not("gradients"):
        return PictureObjective(model, case, baseline, token_ids, tokens)
    return AnswerObjective(cast(LvlmModel, model), case, baseline, token_ids, tokens)
