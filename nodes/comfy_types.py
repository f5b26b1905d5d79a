"""Between ComfyUI's batches and lists and the library's pictures; the only file that knows [B, H, W, C]."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..api_core.broadcast import broadcast_together
from ..api_core.errors import InvalidInput, quoted
from ..api_core.pictures import flatten_alpha

Value = TypeVar("Value")


def to_pictures(image: Tensor) -> list[Tensor]:
    """An IMAGE [B, H, W, C] (or one picture [H, W, C]) as B pictures, float32 [H, W, 3 or 4] on the CPU."""
    batch = image.unsqueeze(0) if image.ndim == 3 else image
    if batch.ndim != 4 or batch.shape[-1] not in (1, 3, 4) or 0 in batch.shape:
        raise InvalidInput(
            f"An image must be a batch of pictures [B, H, W, 3 or 4], not {list(image.shape)}. "
            "Connect the IMAGE output of a node that loads or makes pictures."
        )
    batch = batch.detach().to("cpu", torch.float32)
    if batch.shape[-1] == 1:
        batch = batch.expand(-1, -1, -1, 3)
    return list(batch.unbind(0))


def to_picture_batch(image: Tensor) -> Tensor:
    """An IMAGE as one float32 tensor [B, H, W, 3 or 4] on the CPU, not copied where it is that already."""
    pictures = to_pictures(image)
    if image.ndim == 4 and image.shape[-1] != 1:
        return image.detach().to("cpu", torch.float32)
    return torch.stack(pictures)


def to_batch(pictures: Sequence[Tensor], what: str) -> Tensor:
    """Pictures or masks of one size as a batch."""
    sizes = {tuple(picture.shape) for picture in pictures}
    if not sizes:
        raise InvalidInput(f"There are no {what.lower()} to give: what is connected holds no picture.")
    if len(sizes) != 1:
        listed = ", ".join(" x ".join(map(str, size)) for size in sorted(sizes))
        raise InvalidInput(f"{what} of several sizes cannot leave as one batch: {listed}. Use pictures of one size.")
    return torch.stack(list(pictures))


@dataclass(frozen=True)
class Cases:
    """What a node that takes lists is to do: one entry for each case.

    texts: by the input's name; empty ones where nothing is connected. further: for each further picture of a prompt,
    one picture for each case.
    """

    pictures: list[Tensor]
    texts: Mapping[str, list[str]]
    further: tuple[list[Tensor], ...]

    def __len__(self) -> int:
        return len(self.pictures)


def to_cases(
    image: Sequence[Tensor],
    more_images: Mapping[str, Sequence[Tensor]] | None = None,
    **texts: Sequence[str] | None,
) -> Cases:
    """The cases of a node that takes lists: lists of image batches are strung together, and one of anything serves all.

    Pictures are float32 [H, W, 3]; transparent ones are laid on white, as a language model would be shown them.
    """
    given = {name: batches for name, batches in (more_images or {}).items() if batches is not None}
    pictures = {"image": image, **{f"more_images.{name}": batches for name, batches in given.items()}}
    lists: dict[str, list[Any]] = {f"of {name}": _flatten_batches(batches) for name, batches in pictures.items()}
    lists |= {f"of {name}": [""] if values is None else list(values) for name, values in texts.items()}
    each = broadcast_together(lists)
    first, *further = (each[f"of {name}"] for name in pictures)
    return Cases(pictures=first, texts={name: each[f"of {name}"] for name in texts}, further=tuple(further))


def single_value(values: Sequence[Value], name: str) -> Value:
    """The one value of a setting on a node that takes lists; a setting serves every case."""
    if not values or any(value is not values[0] and value != values[0] for value in values):
        raise InvalidInput(f"{name} is one setting for all cases, and got {len(values)} values. Connect a single one.")
    return values[0]


def single_values(settings: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The same for a dynamic input, whose own name and settings each arrive as a list."""
    return {name: single_value(values, name) for name, values in settings.items()}


def blank_to_none(texts: Sequence[str]) -> list[str | None]:
    """Texts of which an empty one means that there is none."""
    return [text if text.strip() else None for text in texts]


def _flatten_batches(batches: Sequence[Tensor]) -> list[Tensor]:
    return [flatten_alpha(picture) for batch in batches for picture in to_pictures(batch)]


def to_layers(text: str) -> tuple[int, ...] | None:
    """The `layers` field: "auto" (or nothing) is None, else whole numbers with commas between them."""
    if text.strip().lower() in ("", "auto"):
        return None
    found = tuple(to_layer(part) for part in text.split(",") if part.strip())
    if not found or None in found:
        raise InvalidInput(f"The layers must be auto, or whole numbers with commas between them, not {quoted(text)}.")
    return tuple(number for number in found if number is not None)


def to_layer(text: str) -> int | None:
    """The `layer` field: "auto" (or nothing) is None, else an integer; negative ones count from the end."""
    text = text.strip().lower()
    if text in ("", "auto"):
        return None
    if not re.fullmatch(r"[+-]?\d{1,6}", text):
        raise InvalidInput(
            f"The layer must be auto or a whole number (negative counts from the end), not {quoted(text)}."
        )
    return int(text)
