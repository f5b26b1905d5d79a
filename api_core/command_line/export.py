"""Write the answers to a published data set as its official program takes them."""

import argparse

from ..errors import InvalidInput, shortened
from ..evaluation.official.registry import data_set_of
from ..evaluation.official.results import arms_of, results_of
from ..evaluation.readers.jsonl import read_cases
from .terminal import complain, say


def run(options: argparse.Namespace) -> int:
    """Write the file or folder; returns how many cases have no answer in it."""
    cases = read_cases(options.cases)
    data_set = data_set_of(cases)
    arms = arms_of(results_of(options.results, cases))
    if options.shown not in arms:
        raise InvalidInput(
            f"{options.results} has no answers {shortened(options.shown)!r}. Choose one of {', '.join(arms)}."
        )
    answers = arms[options.shown]
    missing = len(cases) - len(answers)
    data_set.export(cases, answers, options.out)
    if missing:
        complain(f"{missing} of {len(cases)} cases have no answer and are left out; the official program may need all")
    say(f"{options.out}: {data_set.exported}")
    return missing
