"""Letters for captions in any language: Pillow's own font where it has them, else one of this machine's."""

import unicodedata
from functools import cache

from PIL import ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

# Looked up by name in the folders of Linux, macOS and Windows, the wide ones for Chinese, Japanese and Korean last.
_NAMES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "segoeui.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-zenhei.ttc",
    "Arial Unicode.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
)
_NO_LETTER = "\uffff"  # stands for none: drawn, it is the box of a font that lacks a letter


def font_for(text: str, size: float) -> tuple[Font, str]:
    """A font of `size` that has every letter of `text`, and the text to draw with it.

    Where no font at hand has them all, accents are taken off, and what is then still missing becomes a question mark.
    """
    own = _own(size)
    if _has(own, text):
        return own, text
    for name in _NAMES:
        found = _named(name, size)
        if found is not None and _has(found, text):
            return found, text
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return own, "".join(letter if _has(own, letter) else "?" for letter in bare)


@cache
def _own(size: float) -> Font:
    return ImageFont.load_default(size)


@cache
def _named(name: str, size: float) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:  # not on this machine
        return None


def _has(font: Font, text: str) -> bool:
    return all(_draws(font, letter) for letter in {*text} if not letter.isspace())


@cache
def _draws(font: Font, letter: str) -> bool:
    return letter.isascii() or bytes(font.getmask(letter)) != bytes(font.getmask(_NO_LETTER))
