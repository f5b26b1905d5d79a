"""Say what this machine is, whether the pack works on it, and what it costs here."""

import argparse
import dataclasses
import importlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..doctor.machine import machine_facts
from ..errors import InvalidInput, reason
from ..whole_file import whole_file
from .terminal import say

if TYPE_CHECKING:
    from ..doctor.checks import Row


def run(options: argparse.Namespace) -> int:
    """Write a line per fact and per check; returns how many checks failed."""
    if options.models and not options.full:
        raise InvalidInput("Models are looked at in the acceptance run only: add --full.")
    facts = machine_facts()
    for fact in facts:
        say(str(fact))
    say("")
    found: list[dict[str, Any]] = []
    failed = 0
    for row in _rows(options):
        found.append(dataclasses.asdict(row))
        failed += row.ok is False
        say(str(row))
    if options.json:
        content = {"facts": [dataclasses.asdict(fact) for fact in facts], "checks": found}
        with whole_file(options.json) as file:
            file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"\n{failed} of {len(found)} checks failed." if failed else f"\nAll of {len(found)} checks passed.")
    return failed


def _rows(options: argparse.Namespace) -> "Iterator[Row]":
    try:
        module = importlib.import_module(f"..doctor.{'acceptance' if options.full else 'checks'}", __package__)
    except (ImportError, OSError) as error:
        raise InvalidInput(
            f"The models cannot be checked, since a package is missing ({reason(error, 200)}). Install what "
            "requirements.txt lists: `pip install -r requirements.txt`."
        ) from error
    if options.full:
        return module.accept(options.models, device=options.device)
    return module.check_embedded(options.device)
