"""A picture, its mask as heat and the prompted picture side by side, each with a short caption."""

from bisect import bisect_left
from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from . import overlay
from .errors import InvalidInput
from .fonts import Font, font_for
from .pictures import flatten_alpha, require_picture, to_picture, to_pil
from .settings import require_number

_GAP = 4
_PAPER = (255, 255, 255)
_INK = (32, 32, 32)


def panel(picture: Tensor, mask: Tensor, prompted: Tensor, *, captions: Sequence[str], max_height: int = 768) -> Tensor:
    """Original | mask as heat | prompted, with captions: float32 [H', W', 3], 0..1.

    picture, prompted: [H, W, 3 or 4]; mask: [H, W]. Pictures higher than `max_height` are made smaller.
    """
    heated = overlay.apply(picture, mask, overlay.HeatStyle())
    return side_by_side([picture, heated, prompted], captions, max_height)


def side_by_side(pictures: Sequence[Tensor], captions: Sequence[str], max_height: int = 768) -> Tensor:
    """Pictures [H, W, 3 or 4] in a row, all as high as the first (at most `max_height`), a caption over each."""
    if len(pictures) == 0 or len(pictures) != len(captions):  # a batch has no truth value
        raise InvalidInput(
            f"{len(pictures)} pictures and {len(captions)} captions do not go together; give one for each."
        )
    require_number(max_height, "max_height", 1, whole=True)
    for picture in pictures:
        require_picture(picture)
    height = min(pictures[0].shape[0], max_height)
    images = [_at_height(picture, height) for picture in pictures]
    size = max(10, height // 20)
    strip = size * 2
    whole = Image.new("RGB", (sum(i.width for i in images) + _GAP * (len(images) - 1), height + strip), _PAPER)
    left = 0
    for image, caption in zip(images, captions, strict=True):
        whole.paste(_caption(caption, image.width, strip, size), (left, 0))
        whole.paste(image, (left, strip))
        left += image.width + _GAP
    return to_picture(whole)


def _at_height(picture: Tensor, height: int) -> Image.Image:
    image = to_pil(flatten_alpha(picture))
    if image.height == height:
        return image
    return image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS)


def _caption(text: str, width: int, height: int, size: int) -> Image.Image:
    """One line in a strip of the picture's width; what does not fit is cut."""
    strip = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(strip)
    font, text = font_for(text, size)
    line = fitted(text, font, width - size)
    draw.text((size // 2, height / 2), line, fill=_INK, font=font, anchor="lm")
    return strip


def fitted(text: str, font: Font, room: float) -> str:
    """The text as one line that is at most `room` pixels long; what does not fit is cut."""
    line = " ".join(text.split())
    if font.getlength(line) <= room:
        return line
    fits = bisect_left(range(len(line)), True, key=lambda end: font.getlength(line[: end + 1] + "...") > room)
    return line[:fits].rstrip() + "..." if fits else ""
