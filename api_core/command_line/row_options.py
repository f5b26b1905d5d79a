"""The options of `run` and `explain` for one row of a plan, whose settings are written as their flags."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InvalidInput
from ..evaluation.reproduce.plan import Row
from .explain_options import add_explain_options
from .run_options import NO_MODEL, add_run_options

_WORKERS = ("workers", "gpus-per-worker", "ray")
_OF_REPRODUCE = (
    *_WORKERS,
    *("lvlm", "model", "server", "server-model", "at-once", "allow-download", "seed", "out", "overwrite"),
    *("range", "shard", "prompted-from", "no-plain", "question", "panel", "help", "list-methods"),
)
"""What `reproduce` itself says, or has no use for."""
_UNUSED = "-"  # where `explain` wants a picture and a question


class _OfAPlan(argparse.ArgumentParser):
    """Refuses in one line that names the row."""

    def __init__(self, row: Row, add_options: Callable[[argparse.ArgumentParser], None]) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        add_options(self)
        self._row = row

    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"The settings of {self._row.name}: {message}")


def row_options(row: Row, seed: int, out: Path, given: argparse.Namespace) -> argparse.Namespace:
    """What `run`, or `explain`, would be given for one row and seed. given: the options of `reproduce`."""
    for name in row.settings:
        if name in _OF_REPRODUCE:
            raise InvalidInput(f"The settings of {row.name}: {name!r} is for `reproduce` itself to say. Leave it out.")
    settings = dict(row.settings)
    if row.explained:
        parser = _OfAPlan(row, add_explain_options)
        fixed = [_UNUSED, f"--question={_UNUSED}", f"--out={out}", f"--model={row.model}"]
    else:
        parser = _OfAPlan(row, add_run_options)
        fixed = [_UNUSED, f"--out={out}", f"--batch-size={given.batch_size}"]
        fixed += [
            *_who_answers(row, given),
            *_flags({name: getattr(given, name.replace("-", "_")) for name in _WORKERS}),
        ]
        settings |= {"template": None} if row.after else {}
        settings |= {"no-plain": True} if row.prompts and row.settings.get("keep") != "surer" else {}
    fixed += [f"--seed={seed}", f"--device={given.device}", f"--precision={given.precision}"]
    switches = ["overwrite"] * given.overwrite + ["allow-download"] * given.allow_download
    return parser.parse_args([*fixed, *(f"--{name}" for name in switches), *_flags(settings)])


def _who_answers(row: Row, given: argparse.Namespace) -> list[str]:
    if not given.server:
        return [f"--lvlm={row.model}"]
    profile, _, model = given.server.partition(":")
    at_once = [] if given.at_once is None else [f"--at-once={given.at_once}"]
    own = [] if row.settings.get("map") != "lvlm" or "map-model" in row.settings else [f"--map-model={row.model}"]
    return [f"--lvlm={NO_MODEL}", f"--server={profile}", f"--server-model={model}", *at_once, *own]


def _flags(settings: Mapping[str, Any]) -> list[str]:
    """Flags of settings: true is the flag alone, a list the flag several times; null and false say nothing."""
    flags = []
    for name, value in settings.items():
        if value is True:
            flags.append(f"--{name}")
        elif value is not None and value is not False:
            flags += [f"--{name}={one}" for one in (value if isinstance(value, list) else [value])]
    return flags
