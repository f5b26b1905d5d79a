"""The scripts of tools/setup import each other as they run, from their own folder."""

import sys
from pathlib import Path

SCRIPTS = str(Path(__file__).resolve().parents[2] / "tools" / "setup")
if SCRIPTS not in sys.path:
    sys.path.append(SCRIPTS)
