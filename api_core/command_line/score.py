"""Score the answers to a published data set by its official rules, and by the others it has."""

import argparse
import json
from typing import Any

from ..errors import InvalidInput, shortened
from ..evaluation.official.data_set import Resources
from ..evaluation.official.judge import read_verdicts
from ..evaluation.official.registry import data_set_of
from ..evaluation.official.results import arms_of, results_of
from ..evaluation.official.score_table import ScoreTable, to_table
from ..evaluation.readers.jsonl import read_cases
from ..whole_file import whole_file
from .terminal import complain, say


def run(options: argparse.Namespace) -> int:
    """Print a table; what cannot be scored is an error, so the result is 0."""
    cases = read_cases(options.cases)
    data_set = data_set_of(cases)
    if options.rule and options.rule not in data_set.rules:
        raise InvalidInput(
            f"{data_set.title} has no rule {shortened(options.rule)!r}. Choose one of {', '.join(data_set.rules)}."
        )
    arms = arms_of(results_of(options.results, cases))
    more: dict[str, dict[str, Any]] = {arm: {} for arm in arms}
    if options.verdicts:
        more = {arm: {"verdicts": found} for arm, found in read_verdicts(options.verdicts, arms).items()}
        for arm in [arm for arm in arms if arm not in more]:
            complain(f"the {arm} answers were not judged and are left out")
        arms = {arm: arms[arm] for arm in more}
    tables = {arm: ScoreTable(()) for arm in arms}
    for rule in [options.rule] if options.rule else data_set.rules:
        for arm, answers in arms.items():
            tables[arm] += data_set.score(cases, answers, rule, Resources(options.data, more[arm]))
    if options.json:
        found = {"data_set": data_set.name, "arms": {arm: table.to_json() for arm, table in tables.items()}}
        with whole_file(options.json) as part:
            part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = to_table(data_set.title, tables).to_markdown()
    if options.markdown:
        with whole_file(options.markdown) as part:
            part.write_text(text, encoding="utf-8")
    say(text)
    return 0
