"""The options of the command `explain`."""

import argparse
from collections.abc import Sequence
from typing import Any

from ..choices import BASELINES, EXPLANATION_METHOD
from ..models.catalog import EMBEDDED_LVLM
from ..settings import read_words
from .flags import number
from .options import add_file_options, add_loading_options, add_mask_options, add_overlay_options, add_system_prompt
from .terminal import say

NO_BASELINE = "none"


def add_explain_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show which parts of a picture a model's answer needed. Writes, under the picture's own stem: the picture with "
        "the map over it (<stem>.png, or what -o ends with), the raw map (.heatmap.npz), the insertion and deletion "
        "curves with a verdict (.curves.png) and everything in numbers (.report.json). One bad picture in a folder "
        "does not stop the others."
    )
    parser.usage = "%(prog)s PICTURE -q QUESTION -o OUT [options]"
    add_file_options(parser, {"--panel": "also write <stem>.panel.png: picture and maps in a row"})
    parser.add_argument("-q", "--question", required=True, help="what was asked")

    what = parser.add_argument_group("what is explained")
    what.add_argument("--answer", metavar="TEXT", help="this answer (default: the model's own)")
    what.add_argument("--instead-of", metavar="TEXT", help="why it was not this other answer")
    what.add_argument(
        "--words",
        type=read_words,
        default=(),
        metavar="A,B",
        help="words of the answer (default: that the picture explains)",
    )
    what.add_argument("--per-word", action="store_true", help="also a map of each explained word by itself")
    add_system_prompt(what)
    what.add_argument("--max-new-tokens", type=number(1, kind=int), default=64, help="limit of the model's own answer")

    how = parser.add_argument_group("how")
    how.add_argument(
        "--method", default=EXPLANATION_METHOD, metavar="NAME", help="one of those that --list-methods tells"
    )
    how.add_argument(
        "--set", action="append", default=[], type=setting, dest="settings", metavar="NAME=VALUE",
        help="a setting of the method; may be repeated",
    )  # fmt: skip
    how.add_argument("--list-methods", action=ListMethods, help="list the methods and their settings, and stop")
    how.add_argument("--baseline", choices=BASELINES, default=BASELINES[0], help="what replaces what is taken away")
    how.add_argument(
        "--other-baseline", choices=(*BASELINES, NO_BASELINE), default=BASELINES[1], help="also judge the map on this"
    )
    how.add_argument("--steps", type=number(0, kind=int), default=25, help="points of each curve, 0: no curves")
    how.add_argument("--seed", type=number(0, kind=int), default=0, help="of the chance in the method")

    model = parser.add_argument_group("model")
    model.add_argument("--model", default=EMBEDDED_LVLM, help="an LVLM from the `models` command, or a folder")
    add_loading_options(model, pixels="that the model sees, 0: its own")

    add_mask_options(parser)
    add_overlay_options(parser)
    parser.set_defaults(style="heat")


def setting(text: str) -> tuple[str, float]:
    """An argparse type: NAME=NUMBER."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be NAME=NUMBER, such as steps=12, not {text!r}") from None


class ListMethods(argparse.Action):
    """Says what the library's own list of methods holds, as --help says what the parser does."""

    def __init__(self, option_strings: Sequence[str], dest: str, **given: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **given)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ..explanation.methods import METHODS

        for method in METHODS.values():
            say(f"{method.name}\n    {method.describes}")
            for known in method.settings:
                reach = f"{known.least:g} to {known.most:g}, default {known.default:g}"
                say(f"    --set {known.name}=…  ({reach})  {known.describes}")
        parser.exit()
