"""The tests of `web/` in Node.js, as part of this project's tests, and what the page loads of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
WEB = FOLDER.parents[1] / "web"
BUILT = WEB / "dist" / "attention_prompting.js"
MOST_BYTES = 60_000


def run_npm(*arguments: str, **environment: str) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("NOT RUN, the JavaScript was not tested: node and npm are not on the PATH")
    if not (FOLDER / "node_modules" / "vitest").is_dir():
        pytest.skip("NOT RUN, the JavaScript was not tested: `python tools/setup/web.py install` has not run here")
    result = subprocess.run(
        [npm, *arguments],
        cwd=FOLDER,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_the_modules_of_the_page() -> None:
    run_npm("test")


@pytest.mark.slow
def test_what_the_page_loads_is_built_from_what_can_be_read(tmp_path: Path) -> None:
    run_npm("run", "build", BUILD_TO=str(tmp_path / "built.js"))
    assert (tmp_path / "built.js").read_bytes() == BUILT.read_bytes(), "web/dist is old: run `make web`"


def test_the_page_loads_one_script_and_little() -> None:
    assert list(WEB.rglob("*.js")) == [BUILT], "ComfyUI imports every .js below web/"
    loaded = [BUILT, *(WEB / "styles").glob("*.css")]
    assert sum(path.stat().st_size for path in loaded) < MOST_BYTES
