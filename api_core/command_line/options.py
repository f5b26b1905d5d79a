"""The options of the commands, each checked as it is read.

The choices stand here as plain words, because reading the library's own registries imports torch, for which `--help`
would wait; a test holds them against the registries.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..choices import CLIP_METHODS, FITS, LVLM_METHODS, PRECISIONS, READINGS
from ..errors import InvalidInput
from ..models.catalog import EMBEDDED_CLIP

if TYPE_CHECKING:
    from ..overlay import Style

INTERPOLATIONS = ("lanczos", "bicubic", "hamming", "bilinear", "nearest")
ROUNDINGS = ("none", "round", "truncate")
COLORMAPS = ("viridis", "magma", "inferno", "turbo", "jet", "coldhot")
STYLES = ("fade", "blur", "desaturate", "heat", "outline")
# Where the option's name differs from the field's: these two would read as options of the mask.
STYLE_OPTION_NAMES = {"threshold": "line_threshold", "width": "line_width"}


class OptionHelp(argparse.HelpFormatter):
    """Says an option's default where it has one that says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False, (), "", argparse.SUPPRESS) or action.required
        if not action.help or not action.option_strings or silent or "(default:" in action.help:
            return action.help
        return f"{action.help} (default: %(default)s)"


def number(
    lowest: float, highest: float = float("inf"), kind: Callable[[str], float] = float
) -> Callable[[str], float]:
    """An argparse type: a number from `lowest` to `highest`, which its error names."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not lowest <= value <= highest:
            top = "on" if highest == float("inf") else f"to {highest:g}"
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {whole} from {lowest:g} {top}, not {text!r}")
        return value

    return read


def color(text: str) -> tuple[float, float, float]:
    """An argparse type: a grey level 0..255, or #rrggbb; three levels 0..1."""
    digits = text.removeprefix("#")
    try:
        if not text.startswith("#") and 0 <= int(text) <= 255:
            return (int(text) / 255,) * 3
        if len(digits) == 6:
            red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
            return red, green, blue
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a grey level 0 to 255 or a colour like #ff8800, not {text!r}")


def words(text: str) -> tuple[str, ...]:
    """An argparse type: words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def whole_numbers(text: str) -> tuple[int, ...]:
    """An argparse type: whole numbers between commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers between commas, not {text!r}") from None


def add_models_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the models known by name, what each weighs, and whether it is here."
    parser.add_argument("--notes", action="store_true", help="also say what each model is good for")


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Prompt pictures with a question: what does not matter to it fades. Writes PNG (or what -o ends with) under "
        "the picture's own stem. One bad picture in a folder does not stop the others."
    )
    parser.formatter_class = OptionHelp
    parser.usage = "%(prog)s PICTURE QUERY -o OUT [options]"
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="a picture file, or a folder of them")
    parser.add_argument("query", metavar="QUERY", help="what to look for: a question or a description")

    files = parser.add_argument_group("files")
    files.add_argument("-o", "--out", type=Path, required=True, help="a folder, or one file (.png, .jpg, .webp)")
    files.add_argument("--save-mask", action="store_true", help="also write <stem>.mask.png, white = relevant")
    files.add_argument("--save-heatmap", action="store_true", help="also write <stem>.heatmap.npz: the raw values")
    files.add_argument("--panel", action="store_true", help="also write <stem>.panel.png: before and after")
    files.add_argument("--overwrite", action="store_true", help="replace results that exist (never an input)")

    model = parser.add_argument_group("model")
    model.add_argument("--model", default=EMBEDDED_CLIP, help="a name from the `models` command, or a folder")
    model.add_argument("--precision", choices=PRECISIONS, default="auto", help="of the model's weights")
    model.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps …")
    model.add_argument("--allow-download", action="store_true", help="fetch weights that are not on this machine")

    heatmap = parser.add_argument_group("heatmap")
    heatmap.add_argument(
        "--method",
        choices=(*CLIP_METHODS, *LVLM_METHODS),
        help=f"how relevance is found, by a CLIP: {', '.join(CLIP_METHODS)}; by an LVLM: {', '.join(LVLM_METHODS)} "
        "(default: the model's)",
    )
    heatmap.add_argument(
        "--layer",
        "--layers",
        dest="layers",
        type=whole_numbers,
        metavar="N",
        help="layer that is read, negative from the end; of an LVLM also several: 12,14 (default: the model's)",
    )
    heatmap.add_argument("--reading", choices=READINGS, default=READINGS[0], help="upstream: as the paper's code")
    heatmap.add_argument("--fit", choices=FITS, help="how a picture that is not square is shown (default: the model's)")
    heatmap.add_argument("--neutral", metavar="TEXT", help="subtract the map of this text, such as 'a photo'")

    answer = parser.add_argument_group("of an LVLM, whose attention is read while it answers the query")
    answer.add_argument("--answer", metavar="TEXT", help="read how it would give this answer (default: its own)")
    answer.add_argument("--hint-words", type=words, default=(), metavar="A,B", help="the answer's words that count")
    answer.add_argument("--max-new-tokens", type=number(1, kind=int), help="limit of its answer (default: 20)")
    answer.add_argument("--max-pixels", type=number(0, kind=int), default=0, help="shrink pictures to so many")

    mask = add_mask_options(parser)
    mask.add_argument("--words", type=words, default=(), metavar="A,B", help="only these words of the query")
    add_overlay_options(parser)


def add_mask_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """From a map to a mask; the group, for what a command adds."""
    mask = parser.add_argument_group("mask")
    mask.add_argument("--contrast", type=number(0), help="gain of the sigmoid (default: the model's)")
    mask.add_argument("--smoothing", type=number(1), help="width of the box filter in patches (default: the model's)")
    mask.add_argument("--interpolation", choices=INTERPOLATIONS, default="lanczos", help="from patches to pixels")
    mask.add_argument("--threshold", type=number(0, 1), default=0.0, help="0 keeps the mask soft")
    mask.add_argument("--grow", type=int, default=0, metavar="PIXELS", help="grow the mask; negative shrinks it")
    mask.add_argument("--feather", type=number(0), default=0.0, metavar="PIXELS", help="width of a soft edge, 0: none")
    mask.add_argument("--invert", action="store_true", help="what matters becomes what does not")
    return mask


def add_overlay_options(parser: argparse.ArgumentParser) -> None:
    """How a mask is drawn; `chosen_style` reads what is given."""
    overlay = parser.add_argument_group("overlay")
    overlay.add_argument("--style", choices=STYLES, default="fade", help="what happens to what does not matter")
    overlay.add_argument("--strength", type=number(0, 1), default=1.0, help="0 leaves the picture as it is")
    overlay.add_argument("--color", type=color, metavar="COLOR", help="fade, outline: 0 to 255 or #rrggbb")
    overlay.add_argument("--rounding", choices=ROUNDINGS, help="fade: truncate is the paper's code's")
    overlay.add_argument("--radius", type=number(0.1), metavar="PIXELS", help="blur")
    overlay.add_argument("--colormap", choices=COLORMAPS, help="heat")
    overlay.add_argument("--opacity", type=number(0, 1), help="heat")
    overlay.add_argument("--weighted", action="store_true", default=None, help="heat: denser where the mask is")
    overlay.add_argument("--line-width", type=number(1, kind=int), metavar="PIXELS", help="outline")
    overlay.add_argument("--line-threshold", type=number(0, 1), help="outline: the mask's value along the line")


def style_classes() -> "dict[str, type[Style]]":
    """The styles by the names of `--style`."""
    from ..overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, OutlineStyle

    return dict(zip(STYLES, (FadeStyle, BlurStyle, DesaturateStyle, HeatStyle, OutlineStyle), strict=True))


def chosen_style(options: argparse.Namespace) -> "Style":
    """The style with the values given for it. Raises InvalidInput for a value that belongs to another style."""
    styles = style_classes()
    names = {name for style in styles.values() for name in field_names(style)}
    given = {name: getattr(options, STYLE_OPTION_NAMES.get(name, name)) for name in sorted(names)}
    given = {name: value for name, value in given.items() if value is not None}
    style = styles[options.style]
    own = field_names(style)
    for name in given:
        if name not in own:
            flag = "--" + STYLE_OPTION_NAMES.get(name, name).replace("_", "-")
            users = [key for key, other in styles.items() if name in field_names(other)]
            raise InvalidInput(f"{flag} belongs to --style {' or '.join(users)}, not to --style {options.style}.")
    return style(**given)


def field_names(style: "type[Style]") -> set[str]:
    return {field.name for field in dataclasses.fields(style)}
