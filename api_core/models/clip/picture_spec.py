"""How a model wants its pictures: size, colour statistics, and the resizing it was trained with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ...errors import DamagedWeights, InvalidInput

ResizeMode = Literal["shortest", "longest", "squash"]

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class PictureSpec:
    """What a model's own preprocessing does.

    side: height and width of its input in pixels. mean, std: per channel, for values 0..1. interpolation: of resizing.
    resize_mode: "shortest" side to `side`, then a centre crop; "longest" side, then padding with `fill` (0..1); or
    "squash" to a square.
    """

    side: int
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    interpolation: str = "bicubic"
    resize_mode: ResizeMode = "shortest"
    fill: float = 0.0

    def __post_init__(self) -> None:
        if self.resize_mode not in get_args(ResizeMode):
            known = ", ".join(get_args(ResizeMode))
            raise InvalidInput(f"Unknown resize mode {self.resize_mode!r} of a model's preprocessing; one of {known}.")

    @classmethod
    def from_open_clip(cls, config: Mapping[str, Any], side: int) -> "PictureSpec":
        """Read open_clip's `preprocess_cfg` (fill_color counts 0..255); what it lacks is OpenAI's."""
        known = cls(side)
        return cls(
            side=side,
            mean=channels(config.get("mean"), known.mean),
            std=channels(config.get("std"), known.std),
            interpolation=config.get("interpolation") or known.interpolation,
            resize_mode=config.get("resize_mode") or known.resize_mode,
            fill=_number(config.get("fill_color")) / 255.0,
        )

    def normalise(self, pixels: Tensor) -> Tensor:
        """[N, 3, h, w] of 0..1 to what the model was trained on, in float32 on the pixels' device."""
        mean = torch.tensor(self.mean, device=pixels.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(3, 1, 1)
        return (pixels.float() - mean).div_(std)


def channels(values: Any, default: tuple[float, float, float]) -> tuple[float, float, float]:
    """Red, green and blue of a model's configuration, which may leave them out."""
    if values is None:
        return default
    try:
        red, green, blue = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise DamagedWeights(
            f"The model's preprocessing gives {values!r} where one number for each of red, green and blue belongs. "
            "Get its configuration again."
        ) from error
    return red, green, blue


def _number(value: Any) -> float:
    return float(value[0] if isinstance(value, list | tuple) else value or 0)
