"""Widgets: those of settings, with the values that these take of them, and those that several nodes have."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from comfy_api.latest import io

from ..api_core.choices import READINGS
from ..api_core.settings import Setting, read_color, read_words, write_color

Settings = Sequence[Setting]


def text(name: str, tooltip: str, default: str = "", **more: Any) -> io.Input:
    """A field for a text."""
    return io.String.Input(name, default=default, tooltip=tooltip, **more)


def question(placeholder: str) -> io.Input:
    """The field for what is asked."""
    says = "The question. A list of as many questions as pictures goes picture by picture."
    return text("question", says, multiline=True, placeholder=placeholder)


def choice(name: str, options: Iterable[str], tooltip: str, **more: Any) -> io.Input:
    """A list to choose from; the first is chosen at first."""
    first, *others = options
    return io.Combo.Input(name, options=[first, *others], default=first, tooltip=tooltip, **more)


def described(choices: Mapping[str, str]) -> str:
    """A tooltip of the sentences on each choice."""
    return " ".join(f"{name}: {describes}" for name, describes in choices.items())


def number(name: str, default: float, reach: tuple[float, float], tooltip: str, **more: Any) -> io.Input:
    """A number from the first to the last of its reach, whole where these are; more: what else a `Setting` says."""
    return to_input(Setting(name, default, *reach, describes=tooltip, **more))


def max_new_tokens(default: int, most: int, tooltip: str) -> io.Input:
    """The longest answer."""
    return number("max_new_tokens", default, (1, most), tooltip)


def reading(where: str) -> io.Input:
    """How a map is computed. where: a precise one lies where …"""
    says = (
        f"precise: the map lies where {where}. upstream: the numbers of the paper's published code, its rough edges "
        "included. Smooth & Enhance Mask follows it."
    )
    return choice("reading", READINGS, says, advanced=True)


def seed(tooltip: str, control: Any = True) -> io.Input:
    """What chance starts from. control: what the page does with it after a run."""
    return io.Int.Input("seed", default=0, min=0, max=2**32 - 1, control_after_generate=control, tooltip=tooltip)


def to_input(setting: Setting) -> io.Input:
    """The widget of a setting."""
    name, default = setting.widget or setting.name, setting.default
    shown: dict[str, Any] = {"tooltip": setting.describes}
    shown |= {kind: True for kind in ("optional", "advanced") if getattr(setting, kind)}
    if setting.options:
        return io.Combo.Input(name, options=list(setting.options), default=default, **shown)
    if setting.is_switch:
        return io.Boolean.Input(name, default=default, **shown)
    if setting.is_color:
        return io.Color.Input(name, default=setting.offered or write_color(default), **shown)
    if setting.is_words:
        return io.String.Input(name, default="", **shown)
    least, most = setting.reach or (setting.least, setting.most)
    shown |= {"min": least if setting.own is None else setting.own, "max": most, "step": setting.step}
    if default is None:
        default = setting.own
    if isinstance(least, int):
        return io.Int.Input(name, default=int(default), **shown)
    return io.Float.Input(name, default=default, **shown)


def default_values(settings: Settings) -> dict[str, Any]:
    """What the widgets say before anybody touched them."""
    return {given.id: given.default for given in map(to_input, settings)}


def to_values(settings: Settings, widgets: Mapping[str, Any]) -> dict[str, Any]:
    """The settings' values by their names, of what the widgets say; of one that is left out its default."""
    said = default_values(settings)
    said |= widgets
    return {setting.name: _to_value(setting, said[setting.widget or setting.name]) for setting in settings}


def _to_value(setting: Setting, said: Any) -> Any:
    if setting.is_color:
        return read_color(said)
    if setting.is_words:
        return read_words(said)
    return None if setting.own is not None and said < setting.least else said


def dynamic_input(name: str, choices: Mapping[str, Settings], tooltip: str, optional: bool = False) -> io.Input:
    """A choice whose own settings appear below it; further choices are appended.

    The page saves values by place, so a choice that was released gets no further setting before another's.
    """
    options = [io.DynamicCombo.Option(choice, [to_input(one) for one in own]) for choice, own in choices.items()]
    return io.DynamicCombo.Input(name, options=options, optional=optional, tooltip=tooltip)


def to_choice(name: str, choices: Mapping[str, Settings], said: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a dynamic input says: the choice, and the values of its settings by their names."""
    widgets = dict(said)
    chosen = str(widgets.pop(name))
    return chosen, to_values(choices[chosen], widgets)
