"""How a picture is shown to a model in the upstream reading."""

import math

import torch
from torch import Tensor

from ...models.lvlm.model import LvlmModel

# CLIP's: what the official LLaVA fills the square with.
_MEAN = (0.48145466, 0.4578275, 0.40821073)


def padded_to_square(picture: Tensor, model: LvlmModel) -> Tensor:
    """A picture [H, W, 3] in the middle of a square of the mean colour, as the official LLaVA is shown it."""
    height, width = picture.shape[:2]
    side = max(height, width)
    if height == width:
        return picture
    images = getattr(model.processor, "image_processor", None)
    mean = getattr(images, "image_mean", None) or _MEAN
    levels = torch.tensor([math.floor(255 * level) / 255 for level in mean], dtype=torch.float32)
    square = levels.expand(side, side, 3).clone()
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square
