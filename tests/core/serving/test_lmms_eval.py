"""lmms-eval as it is asks `serve`, and its tasks go through `run` and back: the same table. Not where it is absent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
VARIABLE = "LMMS_EVAL_PYTHON"
PYTHON = os.environ.get(VARIABLE, "")


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason=f"{VARIABLE} names no interpreter with lmms-eval 0.7.3")
@pytest.mark.parametrize("way", ["serve", "bridge"])
def test_its_table_and_answers_are_those_of_run(way: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "parity" / "lmms_eval_serve.py"), PYTHON, "--scenes", "1"]
    done = subprocess.run([*command, "--way", way], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answers that differ: 0 of 8" in done.stdout
