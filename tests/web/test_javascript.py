"""The tests of `web/` in Node.js, as part of this project's tests."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent


def test_the_modules_of_the_page() -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("NOT RUN, the JavaScript was not tested: node and npm are not on the PATH")
    if not (FOLDER / "node_modules" / "vitest").is_dir():
        pytest.skip("NOT RUN, the JavaScript was not tested: `python tools/setup/web.py install` has not run here")
    result = subprocess.run(
        [npm, "test"], cwd=FOLDER, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
