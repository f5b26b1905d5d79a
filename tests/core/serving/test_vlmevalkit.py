"""VLMEvalKit as it is asks `serve`: the table of `run`. Not where it is absent: its packages are several gigabytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
VARIABLES = ("VLMEVALKIT_PYTHON", "VLMEVALKIT_PATH")
WHERE = [os.environ.get(variable, "") for variable in VARIABLES]


@pytest.mark.slow
@pytest.mark.skipif(not all(WHERE), reason=f"{' and '.join(VARIABLES)} name no interpreter and no checkout")
@pytest.mark.parametrize("client", ["LMDeployAPI", "GPT4V"])
def test_its_table_and_answers_are_those_of_run(client: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "parity" / "vlmevalkit_serve.py"), *WHERE, "--scenes", "1"]
    done = subprocess.run([*command, "--client", client], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answers that differ: 0 of 8" in done.stdout
