"""Tiny random models of every family."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pack.tests import zoo


@pytest.fixture(scope="session")
def zoo_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random model of that family; skips the test where transformers has no such family."""
    root = tmp_path_factory.getbasetemp() / "zoo"
    root.mkdir(exist_ok=True)

    def folder(name: str) -> Path:
        missing = zoo.available(name)
        if missing:
            pytest.skip(missing)
        return zoo.folder(name, root)

    return folder


@pytest.fixture(scope="session")
def lvlm(zoo_folder: Callable[[str], Path]) -> Callable[[str], Any]:
    """A tiny random model of that family, loaded once; tests leave it as it is."""
    from pack.api_core.models.lvlm.load import load_lvlm

    return cache(lambda name: load_lvlm(zoo_folder(name), device="cpu"))
