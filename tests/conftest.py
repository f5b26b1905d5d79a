"""Load the repository as the package `pack`, the way ComfyUI loads it: by file location, under another name.

The repository's root must not be on `sys.path`: its `nodes` would hide ComfyUI's module of that name.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

if "pack" not in sys.modules:
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    pack = importlib.util.module_from_spec(spec)
    sys.modules["pack"] = pack
    spec.loader.exec_module(pack)
