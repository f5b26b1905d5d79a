"""The rows of the catalog: data in JSON beside this, one entry a model, with the fields of its dataclass."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar


class Entry(Protocol):
    """What models are found by."""

    @property
    def names(self) -> tuple[str, ...]: ...


E = TypeVar("E", bound=Entry)


def read_entries(kind: type[E], file: str) -> tuple[E, ...]:
    """The rows of a file in their order; what a row does not say has the default of the dataclass `kind`."""
    rows = json.loads((Path(__file__).parent / file).read_text(encoding="utf-8"))
    return tuple(
        kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
        for row in rows
    )


def find_entry(entries: Sequence[E], name: str) -> E | None:
    """The entry of that name or alias, in any case; None for a name the catalog does not hold."""
    sought = name.strip().casefold()
    for entry in entries:
        if sought in map(str.casefold, entry.names):
            return entry
    return None
