"""Load the repository as the package `pack`, the way ComfyUI loads it: by file location, under another name.

The repository's root must not be on `sys.path`: its `nodes` would hide ComfyUI's module of that name.
"""

import importlib.util
import os
import sys
from pathlib import Path

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
