"""The numbers that a method works with: named, described and checked, so that a form can be built of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import InvalidInput

Number = int | float


@dataclass(frozen=True)
class Setting:
    """One number of a method. It is whole where its default is; least and most belong to its range."""

    name: str
    default: Number
    least: Number
    most: Number
    describes: str

    @property
    def whole(self) -> bool:
        return isinstance(self.default, int)

    def check(self, value: Number, method: str) -> Number:
        """The value, a whole number as an int; raises InvalidInput outside the range."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not self.least <= value <= self.most or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise InvalidInput(
                f"{self.name} of {method!r} is {kind} from {self.least:g} to {self.most:g}, not {value!r}."
            )
        return int(value) if self.whole else float(value)


def resolve(method: str, known: Sequence[Setting], given: Mapping[str, Number] | None) -> dict[str, Number]:
    """Every setting of a method by name: what was given, checked, and the defaults of all others."""
    given = given or {}
    names = [setting.name for setting in known]
    for name in given:
        if name not in names:
            which = f"It has {', '.join(names)}." if names else "It has none."
            raise InvalidInput(f"The method {method!r} has no setting {name!r}. {which}")
    return {setting.name: setting.check(given.get(setting.name, setting.default), method) for setting in known}
