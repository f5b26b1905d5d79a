"""The deletion and insertion curves of an explanation as a picture, with what they say in words."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw
from torch import Tensor

from ..fonts import font_for
from ..panel import fitted
from ..pictures import to_picture
from ..settings import require_number
from .faithfulness import Curve, Faithfulness
from .result import Explanation, Verdict

CURVES_SIZE = (640, 480)
"""Width and height that the picture is made for; it can be read down to four fifths of that."""

_LARGEST = 8192
_FINE = 2  # drawn so many times larger, for smooth lines
_PAPER, _INK, _FAINT, _GRID = (255, 255, 255), (32, 32, 32), (112, 112, 112), (222, 222, 222)
_INSERTION, _DELETION = (0, 114, 178), (213, 94, 0)  # told apart by people who are colour-blind, too
_BETWEEN = (228, 240, 248)
_SCALES = (0.1, 0.2, 0.4, 1)
_MARKS = {
    "good": ((0, 122, 61), "Can be trusted:"),
    "weak": ((150, 96, 0), "With care:"),
    "bad": ((190, 30, 30), "Do not trust this map:"),
    "none": ((70, 70, 70), "Nothing to show:"),
}


def draw_curves(explanation: Explanation, size: tuple[int, int] = CURVES_SIZE) -> Tensor:
    """Both curves on each baseline, their areas and a verdict: float32 [H, W, 3], 0..1, for a size of (W, H).

    An answer that does not depend on the picture gets a picture that says so, with its words' probabilities.
    """
    width, height = size
    require_number(width, "The width of the curves", 320, _LARGEST, whole=True)
    require_number(height, "The height of the curves", 240, _LARGEST, whole=True)
    sheet = _Sheet(width, height)
    _head(sheet, explanation)
    if explanation.faithful:
        _charts(sheet, explanation)
    else:
        _words(sheet, explanation)
    _foot(sheet, explanation.verdict)
    small = sheet.image.resize((width, height), Image.Resampling.LANCZOS)
    return to_picture(small)


class _Sheet:
    """A white page that is written on in units of a 640 x 480 one, whatever its real size."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width * _FINE, height * _FINE), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.unit = _FINE * min(width / CURVES_SIZE[0], height / CURVES_SIZE[1])
        self.width, self.height = width * _FINE / self.unit, height * _FINE / self.unit

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        ink: tuple[int, int, int] = _INK,
        at: str = "lm",
        until: float | None = None,
    ) -> float:
        """Write one line, cut at `until` (the right edge) where it starts at the left; the x at which it ends."""
        font, text = font_for(text, size * self.unit)
        end = self.width - 16 if until is None else until
        room = (end - x) * self.unit if at[0] == "l" else float("inf")
        line = fitted(text, font, room)
        self.draw.text((x * self.unit, y * self.unit), line, fill=ink, font=font, anchor=at)
        return x + font.getlength(line) / self.unit

    def lines(self, text: str, size: float, first: float, room: float) -> list[str]:
        """The text in lines: the first `first` long, the others `room`."""
        font, text = font_for(text, size * self.unit)
        made: list[str] = []
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > (room if made else first) * self.unit:
                made.append(line)
                longer = word
            line = longer
        return [*made, line]

    def stroke(self, points: list[tuple[float, float]], ink: tuple[int, int, int], width: float) -> None:
        scaled = [(x * self.unit, y * self.unit) for x, y in points]
        self.draw.line(scaled, fill=ink, width=max(1, round(width * self.unit)), joint="curve")

    def fill(self, points: list[tuple[float, float]], ink: tuple[int, int, int]) -> None:
        self.draw.polygon([(x * self.unit, y * self.unit) for x, y in points], fill=ink)


def _head(sheet: _Sheet, explanation: Explanation) -> None:
    end = sheet.text(16, 24, f'"{explanation.reply.text}"', 22)
    sheet.text(end + 10, 26, f"explained by {explanation.map.method}", 14, _FAINT)
    kept = [word.text for word in explanation.evidence.words if word.kept]
    if kept:
        rather = "" if explanation.other is None else f" rather than {explanation.other.text}"
        sheet.text(16, 51, f"How likely: {_listed(kept)}{rather}; the most important parts come first", 15, _FAINT)


def _listed(words: list[str]) -> str:
    shown = words if len(words) <= 5 else [*words[:4], f"{len(words) - 4} more words"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _charts(sheet: _Sheet, explanation: Explanation) -> None:
    """One chart for each baseline, side by side, and below them what the two colours mean."""
    count = len(explanation.faithful)
    left, gap, bottom = 52.0, 48.0, sheet.height - 150
    wide = (sheet.width - left - 32 - gap * (count - 1)) / count
    highest = max(float(c.probability.max()) for f in explanation.faithful.values() for c in (f.insertion, f.deletion))
    scale = next(scale for scale in _SCALES if highest <= scale or scale == 1)
    for number, (name, found) in enumerate(explanation.faithful.items()):
        start = left + number * (wide + gap)
        _chart(sheet, _Axes(start, start + wide, 98, bottom, scale), found)
        made = "made and judged on it" if number == 0 else "judged on it only"
        end = sheet.text(start, 82, name, 16, until=start + wide)
        sheet.text(end + 7, 83, made, 13, _FAINT, until=start + wide + 16)
        areas = f"areas {found.insertion.area:.2f} and {found.deletion.area:.2f}: difference {found.gap:+.2f}"
        sheet.text(start + wide / 2, bottom + 34, areas, 14, at="mm")
    y = sheet.height - 91
    for x, ink, name, says in (
        (16.0, _INSERTION, "insertion", "only what matters is shown"),
        (sheet.width / 2 + 8, _DELETION, "deletion", "what matters is taken away"),
    ):
        sheet.stroke([(x, y), (x + 22, y)], ink, 3)
        end = sheet.text(x + 28, y, f"{name}:", 14, ink)
        sheet.text(end + 4, y, says, 14)


@dataclass(frozen=True)
class _Axes:
    """Where a chart lies on the sheet; to the right it goes from 0 to 1, up from 0 to `scale`."""

    left: float
    right: float
    top: float
    bottom: float
    scale: float

    def points(self, curve: Curve) -> list[tuple[float, float]]:
        pairs = zip(curve.shares.tolist(), curve.probability.tolist(), strict=True)
        return [(self.x(share), self.y(probability)) for share, probability in pairs]

    def x(self, share: float) -> float:
        return self.left + share * (self.right - self.left)

    def y(self, probability: float) -> float:
        return self.bottom - min(max(probability / self.scale, 0), 1) * (self.bottom - self.top)


def _chart(sheet: _Sheet, axes: _Axes, found: Faithfulness) -> None:
    insertion, deletion = axes.points(found.insertion), axes.points(found.deletion)
    sheet.fill([*insertion, *reversed(deletion)], _BETWEEN)
    for part in (0, 0.25, 0.5, 0.75, 1):
        level, across = axes.y(part * axes.scale), axes.x(part)
        sheet.stroke([(axes.left, level), (axes.right, level)], _FAINT if part == 0 else _GRID, 1)
        shown = f"{part * axes.scale:.1%}" if axes.scale < 0.5 else f"{part * axes.scale:.0%}"
        sheet.text(axes.left - 6, level, shown, 12, _FAINT, at="rm")
        sheet.stroke([(across, axes.bottom), (across, axes.bottom + 4)], _FAINT, 1)
        if part in (0, 0.5, 1):
            sheet.text(across, axes.bottom + 13, f"{part:.0%}", 12, _FAINT, at="mm")
    sheet.stroke(deletion, _DELETION, 2.5)
    sheet.stroke(insertion, _INSERTION, 2.5)


def _words(sheet: _Sheet, explanation: Explanation) -> None:
    """Without curves: how likely each word is with the picture and without it."""
    size, y = 16.0, 152.0
    if explanation.why_not:
        sheet.text(16, 86, _title_of_nothing(explanation), 24)
    for x, title in ((16, "word"), (sheet.width * 0.45, "likely with the picture"), (sheet.width * 0.72, "without it")):
        sheet.text(x, y - 26, title, 13, _FAINT)
    rows = int((sheet.height - 110 - y) // 24)
    words = explanation.evidence.words
    for word in words[:rows] if len(words) <= rows else words[: rows - 1]:
        sheet.text(16, y, word.text, size)
        sheet.text(sheet.width * 0.45, y, f"{min(word.picture):.1%}", size)
        sheet.text(sheet.width * 0.72, y, f"{min(word.baseline):.1%}", size)
        y += 24
    if len(words) > rows:
        sheet.text(16, y, f"... and {len(words) - rows + 1} more", size, _FAINT)


def _title_of_nothing(explanation: Explanation) -> str:
    if explanation.other is not None:
        return "This preference does not depend on the picture."
    if explanation.evidence.name_nothing:
        return "What depends on the picture names nothing in it."
    return "This answer does not depend on the picture."


def _foot(sheet: _Sheet, verdict: Verdict) -> None:
    ink, mark = _MARKS[verdict.kind]
    y = sheet.height - 58
    sheet.stroke([(16, y - 14), (sheet.width - 16, y - 14)], _GRID, 1)
    end = sheet.text(16, y + 3, mark, 16, ink)
    first, room = sheet.width - 16 - end - 6, sheet.width - 32
    lines = sheet.lines(verdict.text, 15, first, room)
    sheet.text(end + 6, y + 3, lines[0], 15)
    for number, line in enumerate(lines[1:3], 1):
        sheet.text(16, y + 3 + 19 * number, line, 15)
