"""List published data sets, or read one into a file of cases."""

import argparse

from ..evaluation.official.data_set import CASES_FILE, DataSet, write_cases
from ..evaluation.official.registry import DATA_SETS, find_data_set
from .terminal import ProgressBar, say


def run(options: argparse.Namespace) -> int:
    """List the data sets or read one; what cannot be read is an error, so the result is 0."""
    if options.action == "list":
        for data_set in DATA_SETS.values():
            _tell(data_set)
        return 0
    named = {name: getattr(options, name) for name in ("split", "wording", "pictures", "partial")}
    data_set = find_data_set(options.data_set)
    with ProgressBar("reading") as bar:
        cases = write_cases(data_set, options.folder, options.out, on_progress=bar, **named)
    say(f"{len(cases)} cases about {len({case.picture for case in cases})} pictures")
    say(str(options.out / CASES_FILE))
    return 0


def _tell(data_set: DataSet) -> None:
    say(f"{data_set.name}: {data_set.title}, from {data_set.source}; licence: {data_set.licence}")
    say(f"  split {', '.join(f'{name} ({count})' for name, count in data_set.counts.items())}")
    for kind in ("wordings", "rules"):
        for name, means in getattr(data_set, kind).items():
            say(f"  {kind[:-1]} {name}: {means}")
    if data_set.judging:
        say(f"  judge: needed; published scores were made by {data_set.judging.judge}")
    say(f"  export: {data_set.exported}")
