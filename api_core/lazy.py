"""Names of a package that are imported when they are first used, so that what needs no torch does not wait for it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

Value = TypeVar("Value")


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__`. homes: name -> the module below the package that holds it.

    A module must not be called like a name that another one holds: Python would put the module in its place.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f".{homes[name]}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted({*vars(sys.modules[package]), *homes})


class LazyTable(Mapping[str, Value]):
    """A table whose names are known at once; what stands under one is the `attribute` of its module, imported when it
    is asked for. homes: name -> the module below the package."""

    def __init__(self, package: str, homes: Mapping[str, str], attribute: str) -> None:
        self._package, self._homes, self._attribute = package, homes, attribute

    def __getitem__(self, name: str) -> Value:
        value: Value = getattr(import_module(f".{self._homes[name]}", self._package), self._attribute)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)
