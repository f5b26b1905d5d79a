"""How the words of an answer are chosen, said on the command line: for `ask` and `run`."""

import argparse
from dataclasses import replace
from typing import Any

from ..answering import DECODINGS, Decoding, Sample
from ..answering.contrastive.base import ContrastiveDecoding
from ..answering.decodings import CONTRASTIVE, SEEN
from .flags import add_flag, add_flags_of_choices, flag_of, number, values_of_choice

_NAMED = {decoding.name: decoding for decoding in DECODINGS}
_DRAWING = {flag_of(setting) for setting in Sample.settings()}
_CHOICES = {name: decoding.settings() for name, decoding in _NAMED.items()}
_USUALLY = {
    "temperature": f"0; of sample {Sample.temperature:g}",
    "top_p": f"{ContrastiveDecoding.top_p:g} for {CONTRASTIVE}, else {Sample.top_p:g}",
    "top_k": f"{Sample.top_k}",
}
# The papers' own letters are named first.
_LETTERS = ("alpha", "beta", "gamma")


def add_decoding_options(answer: argparse._ArgumentGroup) -> None:
    """The options; `chosen_decoding` reads what is given."""
    answer.add_argument(
        "--decoding",
        choices=tuple(_NAMED),
        type=_in_any_case,
        help=f"how words are chosen; {CONTRASTIVE}: against a second reading that sees {SEEN} "
        "(default: greedy, or sample where a temperature is given)",
    )
    for setting in Sample.settings():
        add_flag(answer, replace(setting, short=f"{setting.short} (default: {_USUALLY[setting.name]})"), None)
    answer.add_argument("--seed", type=number(0, kind=int), default=0, help="of the draw, and of noise")
    own = {
        name: [setting for setting in settings if flag_of(setting) not in _DRAWING]
        for name, settings in _CHOICES.items()
    }
    add_flags_of_choices(answer, own, first=_LETTERS)


def _in_any_case(text: str) -> str:
    return next((name for name in _NAMED if name.casefold() == text.casefold()), text)


def chosen_decoding(options: argparse.Namespace) -> Decoding:
    """The decoding with the values given for it. Raises InvalidInput for a value that belongs to another one."""
    name = options.decoding or ("sample" if options.temperature else "greedy")
    return _NAMED[name].of(values_of_choice(options, "decoding", name, _CHOICES, _is_idle), options.seed)


def _is_idle(flag: str, value: Any) -> bool:
    """Whether a value says nothing where nothing is drawn."""
    return flag in _DRAWING and (flag != "temperature" or value == 0)
