"""Put files of results together that parts of one run wrote."""

import argparse

from ..evaluation.readers.jsonl import read_cases
from ..evaluation.runner.merge import merge_results
from .terminal import complain, say, tally


def run(options: argparse.Namespace) -> int:
    """Write one file; returns how many cases have failed or are missing."""
    cases = read_cases(options.cases) if options.cases else None
    merged = merge_results(options.results, options.out, cases=cases, overwrite=options.overwrite)
    if merged.versions > 1:
        complain(f"warning: the results were made with {merged.versions} different sets of packages")
    if merged.missing:
        complain(f"warning: {merged.missing} of {len(cases or ())} cases have no result; run their parts again")
    say(tally(len(merged.records), merged.failed, "cases merged"))
    say(str(options.out))
    return merged.failed + merged.missing
