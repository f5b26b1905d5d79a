"""Flags made of settings, and what their texts say; each is checked as it is read."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import InvalidInput, quoted
from ..settings import Color, Setting, read_color, read_words

Settings = Sequence[Setting]


class OptionHelp(argparse.HelpFormatter):
    """Says an option's default where it has one that says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False, (), "", argparse.SUPPRESS) or action.required
        if not action.help or not action.option_strings or silent or "(default:" in action.help:
            return action.help
        return f"{action.help} (default: %(default)s)"


def number(lowest: float, highest: float = math.inf, kind: Callable[[str], float] = float) -> Callable[[str], float]:
    """An argparse type: a number from `lowest` to `highest`, which its error names."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            top = "on" if highest == math.inf else f"to {highest:g}"
            reach = "" if lowest == -math.inf else f" from {lowest:g} {top}"
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {whole}{reach}, not {quoted(text)}")
        return value

    return read


def color(text: str) -> Color:
    """An argparse type: a grey level 0..255, or #rrggbb; three levels 0..1."""
    try:
        if not text.isdecimal() or len(text) == 6:
            return read_color(text)
        if int(text) <= 255:
            return (int(text) / 255,) * 3
    except InvalidInput:
        pass
    raise argparse.ArgumentTypeError(f"must be a grey level 0 to 255 or a colour like #ff8800, not {quoted(text)}")


def whole_numbers(text: str) -> tuple[int, ...]:
    """An argparse type: whole numbers between commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers between commas, not {quoted(text)}") from None


def flag_of(setting: Setting) -> str:
    """The name of a setting's flag, without the dashes."""
    return setting.flag or setting.name.replace("_", "-")


def given(options: argparse.Namespace, flag: str) -> Any:
    """What was read for a flag, by its name without the dashes."""
    return getattr(options, flag.replace("-", "_"))


def in_help_order(settings: Settings) -> list[Setting]:
    """Those that have a flag, what is switched on last."""
    return sorted((setting for setting in settings if setting.flag is not None), key=lambda setting: setting.is_switch)


def add_flag(group: argparse._ActionsContainer, setting: Setting, default: Any, users: Sequence[str] = ()) -> None:
    """The flag of a setting. default: what is read where it is not given. users: the choices that it belongs to."""
    says = setting.describes if setting.short is None else setting.short
    kind: dict[str, Any] = {"default": default, "help": ": ".join(filter(None, (", ".join(users), says)))}
    if setting.is_switch:
        kind["action"] = "store_false" if setting.default else "store_true"  # its flag then says the contrary
    elif setting.options:
        kind["choices"] = setting.options
    elif setting.is_color:
        kind |= {"type": color, "metavar": "COLOR"}
    elif setting.is_words:
        kind |= {"type": read_words, "metavar": "A,B"}
    else:
        kind["type"] = number(setting.least, setting.most, int if setting.whole else float)
        kind["metavar"] = setting.unit.upper() or None
    group.add_argument(f"--{flag_of(setting)}", **kind)


def add_flags_of_choices(
    group: argparse._ActionsContainer, choices: Mapping[str, Settings], first: Sequence[str] = ()
) -> None:
    """A flag for each setting of any of the choices; those of one name are one flag. `values_of_choice` reads them.

    first: the flags that the help names before the others.
    """
    users: dict[str, list[str]] = {}
    found: dict[str, Setting] = {}
    for choice, settings in choices.items():
        for setting in in_help_order(settings):
            users.setdefault(flag_of(setting), []).append(choice)
            found.setdefault(flag_of(setting), setting)
    for flag in [*(flag for flag in first if flag in found), *(flag for flag in found if flag not in first)]:
        add_flag(group, found[flag], None, users[flag])


def values_of_choice(
    options: argparse.Namespace,
    kind: str,
    chosen: str,
    choices: Mapping[str, Settings],
    is_idle: Callable[[str, Any], bool] = lambda flag, value: False,
) -> dict[str, Any]:
    """What was given for the choice `chosen` of --`kind`, by the settings' names.

    Raises InvalidInput for a value that belongs to another choice, unless it is idle there.
    """
    names = {choice: {flag_of(setting): setting.name for setting in settings} for choice, settings in choices.items()}
    values: dict[str, Any] = {}
    for flag in sorted({flag for own in names.values() for flag in own}):
        value = given(options, flag)
        if value is None:
            continue
        if flag in names[chosen]:
            values[names[chosen][flag]] = value
        elif not is_idle(flag, value):
            users = " or ".join(choice for choice, own in names.items() if flag in own)
            raise InvalidInput(f"--{flag} belongs to --{kind} {users}, not to --{kind} {chosen}.")
    return values
