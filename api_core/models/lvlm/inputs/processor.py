"""What goes into a model's own processor, no larger than wanted, and the padding of what comes out."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ....errors import InvalidInput

_IDS = "input_ids"
_MASK = "attention_mask"
_PIXEL_COUNT = 1 << 15  # a `longest_edge` above this cannot be an edge: such processors count pixels with it


def cap_processor_pixels(image_processor: Any, max_pixels: int) -> bool:
    """Have a processor that keeps a picture's own size make at most so many pixels of it. Whether it is one."""
    size: Any = getattr(image_processor, "size", None)
    edge = size.get("longest_edge") if size is not None and hasattr(size, "get") else None
    most = getattr(image_processor, "max_pixels", None)
    if edge and (edge > _PIXEL_COUNT or _takes_max_pixels(image_processor)):
        size["longest_edge"] = min(int(edge), max_pixels)
        if size.get("shortest_edge"):
            size["shortest_edge"] = min(int(size["shortest_edge"]), max_pixels)
    elif not most:
        return False
    if most:
        image_processor.max_pixels = min(int(most), max_pixels)
        image_processor.min_pixels = min(int(getattr(image_processor, "min_pixels", None) or max_pixels), max_pixels)
    return True


def _takes_max_pixels(image_processor: Any) -> bool:
    settings = getattr(type(image_processor), "valid_kwargs", None)
    return any("max_pixels" in vars(part).get("__annotations__", {}) for part in getattr(settings, "__mro__", ()))


def downscale_to(picture: Tensor, max_pixels: int) -> Tensor:
    """A picture [H, W, 3] of at most `max_pixels`: both sides times the same factor, rounded down, averaged by area."""
    height, width = picture.shape[:2]
    if not max_pixels or height * width <= max_pixels:
        return picture
    factor = math.sqrt(max_pixels / (height * width))
    size = (max(1, math.floor(height * factor)), max(1, math.floor(width * factor)))
    planes = picture.permute(2, 0, 1)[None]
    return F.interpolate(planes, size=size, mode="area")[0].permute(1, 2, 0)


def to_pil_rgb(picture: Tensor) -> Any:
    """A picture [H, W, 3] in 0..1 as the 8-bit RGB picture that models were trained on.

    Pictures from files are multiples of 1/255 and lose nothing; so every processor, whether it works on PIL pictures or
    tensors, rescales and resizes them exactly as it does the same picture read from its file.
    """
    from PIL import Image

    if not bool(torch.isfinite(picture).all()):
        raise InvalidInput("A picture holds NaN or infinite values. Give one with values from 0 to 1.")
    return Image.fromarray((picture.clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous().numpy(), "RGB")


def left_pad(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same batch with the padding of the prompt before it, and that of further texts behind them.

    Generation goes on from the last token, so nothing may stand between it and the prompt, nor inside the prompt. A
    further text (`<name>_input_ids`) is for an encoder that counts positions from its first token: padded before, it
    would read otherwise in a batch than alone.
    """
    settled = dict(inputs)
    for name, mask in inputs.items():
        prefix = name.removesuffix(_MASK)
        if not name.endswith(_MASK) or inputs.get(prefix + _IDS) is None or mask.shape != inputs[prefix + _IDS].shape:
            continue
        order = mask.argsort(dim=1, stable=True, descending=bool(prefix))
        for other in (name, prefix + _IDS, prefix + "token_type_ids", prefix + "mm_token_type_ids"):
            if other in inputs:
                settled[other] = inputs[other].gather(1, order)
    settled.setdefault(_MASK, torch.ones_like(inputs[_IDS]))
    return settled
