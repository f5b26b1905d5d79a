"""Install Debian's Chromium where that is allowed and none is there, so that the tests open ComfyUI's page too.

    python3 tools/setup/chromium.py

For machines of its own, such as CI's: it needs root and Debian's apt-get. Where that cannot be, it says so in large
letters; never an error, as those tests are then skipped.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from logged import CommandFailed, run_logged, say

# The names under which tests/e2e/browser.py looks for one.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-liberation")  # without fonts a page's texts have no width
UPDATE_SECONDS = 120
INSTALL_SECONDS = 600


def find() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def why_not(system: Path = Path("/etc/os-release")) -> str | None:
    """Why none can be installed here, or None."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    names = dict(line.split("=", 1) for line in system.read_text().splitlines() if "=" in line)
    if names.get("ID", "").strip('"') != "debian":  # Ubuntu's package of that name is a pointer to a snap
        return "this is not Debian"
    if os.geteuid() != 0:
        return "that takes root"
    return None


def install(log: Path) -> None:
    """Raises CommandFailed."""
    quietly = {"DEBIAN_FRONTEND": "noninteractive"}
    run_logged(["apt-get", "update"], log, environment=quietly, timeout=UPDATE_SECONDS)
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    run_logged(command, log, environment=quietly, timeout=INSTALL_SECONDS)


def main() -> None:
    if find():
        return
    log = Path(tempfile.gettempdir()) / "chromium-setup.log"
    reason = why_not()
    try:
        if reason is None:
            say("no browser: installing Debian's Chromium")
            install(log)
            reason = None if find() else f"apt-get went well, and still there is none; see {log}"
    except (CommandFailed, OSError) as error:
        reason = f"apt-get could not.\n{error}\nAll it said: {log}"
    if reason:
        say("=" * 100)
        say(f"NO BROWSER: the tests that open ComfyUI's page are SKIPPED, and none was installed: {reason}")
        say("=" * 100)


if __name__ == "__main__":
    main()
