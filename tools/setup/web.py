"""Install what the tests, the linter and the build of `web/` need into tests/web/node_modules, and run the last two.

    python3 tools/setup/web.py install|lint|build

Needs Node.js and npm. Where there are none, or nothing can be fetched, it says so in large letters and the JavaScript
is not checked; with REQUIRE_NODE=1 the command fails. Installing again does nothing until package-lock.json changes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "web"
STAMP = FOLDER / "node_modules" / "installed-lock"


class NodeUnavailable(Exception):
    """No Node.js here, or its packages cannot be had; the message says which."""


def say(message: str) -> None:
    print(f"[setup] {message}", flush=True)


def npm(*arguments: str) -> None:
    program = shutil.which("npm")
    if program is None or shutil.which("node") is None:
        raise NodeUnavailable("node and npm are not on the PATH. Install Node.js 20.19, 22.13, 24 or newer.")
    subprocess.run([program, *arguments], check=True, cwd=FOLDER)


def install() -> None:
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    say("installing what the tests of web/ need")
    try:
        npm("ci")
    except subprocess.CalledProcessError as error:
        raise NodeUnavailable(f"npm ci failed in {FOLDER} ({error}); its own lines above say why.") from error
    STAMP.write_text(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("install", "lint", "build"))
    job = parser.parse_args().job
    try:
        install()
    except NodeUnavailable as error:
        if os.environ.get("REQUIRE_NODE"):
            raise SystemExit(f"[setup] REQUIRE_NODE is set: {error}") from error
        say("=" * 100)
        say(f"NOT RUN, the JavaScript is not checked: {error}")
        say("=" * 100)
        return
    if job != "install":
        try:
            npm("run", job)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"[setup] npm run {job} found mistakes in web/ or tests/web/ ({error}).") from error


if __name__ == "__main__":
    main()
