"""Drawing a style over pictures: broadcasting, strips, alpha, strength and rounding."""

import torch
from torch import Tensor

from ..errors import InvalidInput, quoted
from ..geometry import place, require_size
from ..pictures import as_masks
from ..results import Box, require_finite
from ..settings import require_number
from .style import Style
from .warp import Mapping

# Pixels drawn at once: their temporaries stay in the processor's cache.
_STRIP_PIXELS = 1 << 16
# A float within this of a whole level came from 8 bits; the official code calculates with the whole level.
_SAME_LEVEL = 1e-3


def apply(picture: Tensor, mask: Tensor, style: Style, strength: float = 1.0) -> Tensor:
    """Draw `style` over pictures where the mask says so: a new float32 tensor, the inputs stay as they are.

    picture: float [H, W, 3 or 4] or [B, H, W, 3 or 4], 0..1; a fourth channel (alpha) is kept. mask: [H, W],
    [B, H, W], [B, 1, H, W] or [B, H, W, 1], 1 = the picture matters; of another size it is resized (bilinear).
    As many masks as pictures, or one of either for all of the other. One picture [H, W, C] under one mask gives
    [H, W, C], else [B, H, W, C]. strength: 0 leaves the picture exactly as it is, 1 draws the style in full, between
    them the result lies in proportion.
    """
    pictures = _pictures(picture)
    masks = as_masks(mask)
    require_number(strength, "The strength, 0 unchanged and 1 full,", 0, 1)
    if not isinstance(style, Style):
        names = ", ".join(kind.__name__ for kind in Style.__subclasses__())
        raise InvalidInput(f"{quoted(style)} is no overlay style. Use one of {names}.")
    if len(pictures) != len(masks) and 1 not in (len(pictures), len(masks)):
        raise InvalidInput(
            f"{len(pictures)} pictures and {len(masks)} masks do not go together. "
            "Give as many masks as pictures, or one of either."
        )
    count = max(len(pictures), len(masks))
    result = torch.empty(count, *pictures.shape[1:])
    for index in range(count):
        source, cover = pictures[index % len(pictures)], masks[index % len(masks)]
        _draw(source, cover, style, strength, result[index])
    return result[0] if picture.ndim == 3 and count == 1 else result


def _pictures(picture: Tensor) -> Tensor:
    if not isinstance(picture, Tensor) or not picture.is_floating_point():
        kind = picture.dtype if isinstance(picture, Tensor) else type(picture).__name__
        raise InvalidInput(f"An overlay is drawn on a floating-point tensor, not on {kind}. Use to_picture first.")
    if picture.ndim not in (3, 4) or picture.shape[-1] not in (3, 4) or 0 in picture.shape:
        raise InvalidInput(
            f"A picture must have the shape [H, W, 3 or 4] or [B, H, W, 3 or 4], not {list(picture.shape)}."
        )
    require_finite(picture, "The picture")
    pictures = picture.detach().to("cpu", torch.float32)
    return pictures if pictures.ndim == 4 else pictures.unsqueeze(0)


def mapping(mask: Tensor, style: Style, strength: float = 1.0, size: tuple[int, int] | None = None) -> Mapping:
    """Where the points of a picture are shown that `apply` draws with the same mask [H, W], style and strength, and the
    way back. size: the picture's, where it is not the mask's. A style that only lays colours moves nothing."""
    masks = as_masks(mask)
    if len(masks) != 1:
        raise InvalidInput(f"A mapping belongs to one mask [H, W], not to {len(masks)}. Loop over the batch.")
    require_number(strength, "The strength, 0 unchanged and 1 full,", 0, 1)
    size = (masks.shape[1], masks.shape[2]) if size is None else require_size(size)
    if strength == 0 or type(style).mapping is Style.mapping:  # no mask need be resized for those
        return Mapping.identity(size)
    return style.mapping(_of_size(masks[0], size), strength) or Mapping.identity(size)


def _of_size(mask: Tensor, size: tuple[int, int]) -> Tensor:
    return mask if mask.shape == size else place(mask, Box(0, 0, size[1], size[0]), size, "bilinear").clamp_(0, 1)


def _draw(source: Tensor, mask: Tensor, style: Style, strength: float, target: Tensor) -> None:
    height, width = source.shape[:2]
    if strength == 0:
        target.copy_(source)
        return
    mask = _of_size(mask, (height, width))
    if (moved := style.mapping(mask, strength)) is not None:
        moved.draw(source, target)
        return
    target[..., 3:] = source[..., 3:]
    laid = style.layer(source[..., :3], mask)
    rows = max(1, _STRIP_PIXELS // width)
    weights = torch.empty(min(rows * width, _STRIP_PIXELS), 3)
    colour: Tensor | None = None
    strip_of_it = weights  # as long as the longest strip
    for first in range(0, height, rows):
        last = min(first + rows, height)
        behind, cover = laid(first, last)
        if behind.ndim == 1 and behind is not colour:
            colour, strip_of_it = behind, behind.repeat(len(weights))
        for left in range(0, width, _STRIP_PIXELS):
            piece = slice(left, left + _STRIP_PIXELS)
            below = behind if behind.ndim == 1 else behind[:, piece]
            colors, drawn = source[first:last, piece, :3], target[first:last, piece, :3]
            if style.rounding == "truncate":
                drawn.copy_(_truncated(colors, below, cover[:, piece], strength))
            else:
                flat = strip_of_it if behind.ndim == 1 else below.expand(*colors.shape).reshape(-1)
                _blend(colors, flat, cover[:, piece].mul(strength).neg_().add_(1), weights, drawn)
                if style.rounding == "round":
                    drawn.mul_(255).round_().clamp_(0, 255).div_(255)


def _blend(colors: Tensor, behind: Tensor, keep: Tensor, weights: Tensor, drawn: Tensor) -> None:
    """drawn = colors * keep + (1 - keep) * behind; exact where keep is 0 or 1.

    colors, drawn: [r, W, 3]; keep: [r, W]; behind: three levels a pixel, r * W times or more, flat; weights: scratch of
    r * W rows of three or more. Everything is laid out flat, three equal weights a pixel, which is several times
    quicker than broadcasting over a last dimension of three.
    """
    rows, width = keep.shape
    flat = weights[: rows * width].copy_(keep.reshape(-1, 1).expand(-1, 3)).view(-1)
    below = behind[: len(flat)]
    if drawn.is_contiguous():
        torch.lerp(below, colors.reshape(-1), flat, out=drawn.view(-1))
    else:
        drawn.copy_(torch.lerp(below, colors.reshape(-1), flat, out=flat).view(rows, width, 3))


def _truncated(colors: Tensor, behind: Tensor, cover: Tensor, strength: float) -> Tensor:
    """The blend on whole levels, cut down to whole levels, in the official code's mix of precisions."""
    alpha = (_levels(1 - cover) / 255).to(torch.float32).unsqueeze(-1)
    if strength < 1:
        alpha = 1 - strength * (1 - alpha)
    kept = (_levels(colors).to(torch.float32) * alpha).to(torch.float64)
    drawn = kept + (1 - alpha).to(torch.float64) * _levels(behind)
    return drawn.clamp_(0, 255).to(torch.int32).to(torch.float64).div_(255).to(torch.float32)


def _levels(values: Tensor) -> Tensor:
    levels = values.to(torch.float64) * 255
    # Through integers: rounding doubles is a hundred times slower on processors where torch has no instruction for it.
    whole = (levels + 0.5).to(torch.int32).to(torch.float64)
    return torch.where((levels - whole).abs() < _SAME_LEVEL, whole, levels)
