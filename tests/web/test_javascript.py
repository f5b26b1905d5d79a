"""The tests of `web/` in Node.js, as part of this project's tests, and what the page loads of it.

That `web/dist` is built from `web/modules`, `make lint` checks.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
WEB = FOLDER.parents[1] / "web"
BUILT = WEB / "dist" / "attention_prompting.js"
MOST_BYTES = 60_000


@pytest.mark.slow
def test_the_modules_of_the_page() -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("NOT RUN, the JavaScript was not tested: node and npm are not on the PATH")
    if not (FOLDER / "node_modules" / "vitest").is_dir():
        pytest.skip("NOT RUN, the JavaScript was not tested: `python tools/setup/web.py install` has not run here")
    result = subprocess.run(
        [npm, "test"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_page_loads_one_script_and_little() -> None:
    assert list(WEB.rglob("*.js")) == [BUILT], "ComfyUI imports every .js below web/"
    loaded = [BUILT, *(WEB / "styles").glob("*.css")]
    assert sum(path.stat().st_size for path in loaded) < MOST_BYTES
