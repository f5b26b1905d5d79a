"""Load the repository as the package `pack`, the way ComfyUI loads it: by file location, under another name.

The repository's root must not be on `sys.path`: its `nodes` would hide ComfyUI's module of that name.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

# The tests' models are tiny: more threads only wait for each other, many times as long on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parent.parent

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

if "pack" not in sys.modules:
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    pack = importlib.util.module_from_spec(spec)
    sys.modules["pack"] = pack
    spec.loader.exec_module(pack)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one process keeps where several share the tests: a file, with what it made once, or the one ComfyUI.

    The tests in ComfyUI come first, as they are the longest of these.
    """
    tests = ROOT / "tests"
    in_comfyui = tests / "e2e"
    for item in items:
        file = item.path.relative_to(tests).with_suffix("").as_posix()
        item.add_marker(pytest.mark.xdist_group("comfyui" if in_comfyui in item.path.parents else file))
    items.sort(key=lambda item: in_comfyui not in item.path.parents)
