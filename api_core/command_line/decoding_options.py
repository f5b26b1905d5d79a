"""How the words of an answer are chosen, said on the command line: for `ask` and `run`."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from ..choices import SCHEMES
from ..errors import InvalidInput
from .options import number

if TYPE_CHECKING:
    from ..answering import Decoding

DECODINGS = ("greedy", "sample", "AvisC", "VCD", "M3ID")
# Fields that every drawn answer has; they are idle where nothing is drawn.
_DRAWING = ("top_p", "top_k", "seed")
# Where the option's name differs from the field's: a mask has a threshold too.
_OPTION_NAMES = {"threshold": "blind_threshold"}


def add_decoding_options(answer: argparse._ArgumentGroup) -> None:
    """The options; `chosen_decoding` reads what is given."""
    answer.add_argument(
        "--decoding",
        choices=DECODINGS,
        type=_in_any_case,
        help="how words are chosen; AvisC, VCD, M3ID: against a second reading that sees only blind tokens, a noisy "
        "picture, or none (default: greedy, or sample where a temperature is given)",
    )
    answer.add_argument("--temperature", type=number(0), help="above 0 words are drawn (default: 0; of sample 0.7)")
    answer.add_argument(
        "--top-p", type=number(0, 1), help="drawn among the likeliest (default: 1 for AvisC, VCD, M3ID, else 0.95)"
    )
    answer.add_argument("--top-k", type=number(0, kind=int), help="drawn among so many, 0: all (default: 0)")
    answer.add_argument("--seed", type=number(0, kind=int), default=0, help="of the draw, and of noise")
    answer.add_argument("--alpha", type=number(0), help="AvisC, VCD: how much the second reading counts against")
    answer.add_argument("--beta", type=number(0, 1), help="AvisC, VCD, M3ID: how likely a word has to be at all")
    answer.add_argument("--gamma", type=number(0, 1), help="AvisC: the share of attention that its layers have")
    answer.add_argument(
        "--blind-threshold",
        type=number(float("-inf")),
        metavar="DEVIATIONS",
        help="AvisC: above the mean, from where on attention makes a token blind",
    )
    answer.add_argument("--scheme", choices=SCHEMES, help="AvisC: what the other tokens become")
    answer.add_argument("--noise-step", type=number(0, 1000, int), metavar="STEP", help="VCD: how noisy the picture is")
    answer.add_argument("--forgetting", type=number(0), help="M3ID: how fast the picture is forgotten")


def _in_any_case(text: str) -> str:
    return next((name for name in DECODINGS if name.casefold() == text.casefold()), text)


def chosen_decoding(options: argparse.Namespace) -> "Decoding":
    """The decoding with the values given for it. Raises InvalidInput for a value that belongs to another one."""
    from ..answering import DECODINGS as KINDS

    kinds = {kind.name: {field.name for field in dataclasses.fields(kind.settings)} for kind in KINDS}
    name = options.decoding or ("sample" if options.temperature else "greedy")
    given: dict[str, Any] = {}
    for field in sorted(set().union(*kinds.values())):
        option = _OPTION_NAMES.get(field, field)
        value = getattr(options, option)
        if value is None:
            continue
        if field in kinds[name]:
            given[field] = value
        elif field not in _DRAWING and (field, value) != ("temperature", 0):
            users = " or ".join(kind for kind, fields in kinds.items() if field in fields)
            flag = "--" + option.replace("_", "-")
            raise InvalidInput(f"{flag} belongs to --decoding {users}, not to --decoding {name}.")
    return next(kind.settings for kind in KINDS if kind.name == name)(**given)
