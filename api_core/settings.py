"""What can be set, one table for each choice: a setting's name, default, range and sentence stand once.

The inputs of nodes, the flags of the command line and what the page offers are made of these tables. Free of torch, so
that `--help` comes at once.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any

from .errors import InvalidInput, quoted

Number = int | float
Color = tuple[float, float, float]
"""Red, green and blue, 0..1."""


@dataclass(frozen=True)
class Setting:
    """One value that can be set: a number, one of `options`, or, as the default tells, a switch (bool), a colour (three
    levels) or words (an empty tuple).

    name: the field or argument that it fills. default: the library's; None stands for the model's own value. least and
    most belong to a number's range. describes: one sentence for people, a node's tooltip. short: the same in the few
    words of a command line's help, where they are others.

    Of a node: reach: the range that its widget offers, where that is narrower; whole where these are whole numbers.
    step: of the widget. own: the number that stands for None there. widget: its name there, offered: its default there,
    where these are others. advanced: shown only when asked for. optional: prompts may lack it.

    Of the command line: flag: its name without the dashes, where that is another; None where it has none. unit: what
    it counts.
    """

    name: str
    default: Any
    least: Number = -math.inf
    most: Number = math.inf
    describes: str = ""
    _: KW_ONLY
    short: str | None = None
    options: tuple[str, ...] = ()
    reach: tuple[Number, Number] | None = None
    step: Number | None = None
    own: Number | None = None
    widget: str = ""
    offered: Any = None
    advanced: bool = False
    optional: bool = False
    flag: str | None = ""
    unit: str = ""

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return isinstance(self.default, bool)

    @property
    def is_color(self) -> bool:
        """Whether it is three levels."""
        return isinstance(self.default, tuple) and len(self.default) == 3

    @property
    def is_words(self) -> bool:
        """Whether it is any number of texts."""
        return self.default == ()

    @property
    def whole(self) -> bool:
        """Whether it is a whole number."""
        return isinstance(self.default, int) and not self.is_switch

    def check(self, value: Number, method: str) -> Number:
        """The value, a whole number as an int; raises InvalidInput outside the range."""
        if not _fits(value, self.least, self.most, self.whole):
            kind = "a whole number" if self.whole else "a number"
            raise InvalidInput(
                f"{self.name} of {quoted(method)} is {kind} from {self.least:g} to {self.most:g}, not {quoted(value)}."
            )
        return int(value) if self.whole else float(value)


def setting(default: Any, *described: Any, **more: Any) -> Any:
    """A dataclass's field that can be set; the arguments are those of `Setting` without the name."""
    return field(default=default, metadata={"setting": Setting("", default, *described, **more)})


def settings_of(kind: type, names: Sequence[str] = ()) -> tuple[Setting, ...]:
    """The settings of a dataclass in the order of its fields, or those of the `names` in theirs."""
    found = {one.name: replace(one.metadata["setting"], name=one.name) for one in fields(kind) if one.metadata}
    return tuple(found[name] for name in names or found)


def require_number(
    value: Any, name: str, least: Number = -math.inf, most: Number = math.inf, whole: bool = False
) -> None:
    """Raise InvalidInput for what is no finite number of that range. name: begins the message."""
    if _fits(value, least, most, whole):
        return
    if whole and _fits(value, least, most, False):
        raise InvalidInput(f"{name} must be a whole number, not {quoted(value)}.")
    top = f"from {least:g} to {most:g}" if most < math.inf else f"{least:g} or more"
    kind = "a whole number" if whole else "a number"
    raise InvalidInput(f"{name} must be {top if least > -math.inf else kind}, not {quoted(value)}.")


def is_number(value: Any) -> bool:
    """Whether it is a finite number that the machine can hold."""
    return _fits(value, -math.inf, math.inf, False)


def require_seed(seed: Any) -> None:
    """Raise InvalidInput for what no random numbers can start from."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 1 << 64:
        raise InvalidInput(f"The seed must be a whole number from 0 on, below 2^64, not {quoted(seed)}.")


def require_in_range(chosen: Any) -> None:
    """Raise InvalidInput where a number of a dataclass leaves the range of its setting; None is the model's own where
    the default is, and a bound without end may be infinite."""
    for one in settings_of(type(chosen)):
        value = getattr(chosen, one.name)
        own = value is None and one.default is None
        all_or_none = one.least == -math.inf and not one.whole and value in (math.inf, -math.inf)
        if isinstance(one.default, int | float | None) and not (one.is_switch or own or all_or_none):
            require_number(value, one.name, one.least, one.most, one.whole)


def _fits(value: Any, least: Number, most: Number, whole: bool) -> bool:
    """Whether it is a finite number of the range that the machine can hold: infinity, NaN and truth are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    number: Any = value
    if number != number or not abs(number) <= _LARGEST[whole or isinstance(value, Integral)]:
        return False
    return bool(least <= number <= most) and not (whole and number % 1)


_LARGEST: dict[bool, Number] = {True: (1 << 63) - 1, False: sys.float_info.max}
"""That numbers are computed with, whole or not."""


def resolve(method: str, known: Sequence[Setting], given: Mapping[str, Number] | None) -> dict[str, Number]:
    """Every setting of a method by name: what was given, checked, and the defaults of all others."""
    given = given or {}
    names = [setting.name for setting in known]
    for name in given:
        if name not in names:
            which = f"It has {', '.join(names)}." if names else "It has none."
            raise InvalidInput(f"The method {quoted(method)} has no setting {quoted(name)}. {which}")
    return {setting.name: setting.check(given.get(setting.name, setting.default), method) for setting in known}


EVERY = Setting(
    "every",
    1,
    1,
    16,
    "For the frames of a video: only every n-th is read, and the last; between them the map is linear. Beyond 2 it no "
    "longer follows what moves.",
    short="read only every n-th frame, and the last; beyond 2 the map no longer follows what moves",
    advanced=True,
    optional=True,
)
"""Of the heatmaps of CLIPs and of vision-language models."""


@dataclass(frozen=True)
class MaskDefaults:
    """What a map is made a mask with when nobody says otherwise; smoothing counts patches."""

    contrast: float
    smoothing: float


PAPER_DEFAULTS = MaskDefaults(contrast=1.0, smoothing=3)
"""The authors' own tutorial on MM-Vet; used for models that have no entry in the catalog."""


def read_color(text: str) -> Color:
    """A colour as editors write it, "#rrggbb" or "#rgb"."""
    digits = text.strip().removeprefix("#")
    if re.fullmatch(r"[0-9a-fA-F]{3}", digits):
        digits = "".join(digit * 2 for digit in digits)
    if not re.fullmatch(r"[0-9a-fA-F]{6}", digits):
        raise InvalidInput(f"A colour must be written as #rrggbb, for example #808080, not {quoted(text)}.")
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def write_color(color: Color) -> str:
    """The way back of `read_color`: "#rrggbb"."""
    return "#" + "".join(f"{round(255 * level):02x}" for level in color)


def read_words(text: str) -> tuple[str, ...]:
    """Words between commas, without empty ones."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
