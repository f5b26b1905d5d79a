"""Where this program keeps what belongs to its user, unless it is told otherwise."""

import os
import sys
from pathlib import Path


def default_folder() -> Path:
    """The platform's configuration folder for this program; it need not exist yet."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "attention-prompting"
