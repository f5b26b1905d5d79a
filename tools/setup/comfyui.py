"""Find a ComfyUI for the tests, or install one through comfy-cli where the network allows.

Looked for at COMFYUI_PATH, else at ~/comfy/ComfyUI (comfy-cli's own place). An explicit COMFYUI_PATH that holds none
is an error, never a reason to install elsewhere.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from logged import CommandFailed, run_logged

if TYPE_CHECKING:
    from environment import Environment

DEFAULT_WORKSPACE = Path("~/comfy/ComfyUI")
SOURCE_HOST = "github.com"
PROBE_SECONDS = 5
INSTALL_SECONDS = 1200


class ComfyUIUnavailable(Exception):
    """No ComfyUI here, and none could be installed; the message says what was tried."""


def holds_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy_api").is_dir()


def reachable(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


def find_or_install(environment: Environment, say: Callable[[str], None]) -> Path:
    """The folder of a ComfyUI, installed first if need be. Raises ComfyUIUnavailable."""
    named = os.environ.get("COMFYUI_PATH")
    folder = Path(named or DEFAULT_WORKSPACE).expanduser().resolve()
    if holds_comfyui(folder):
        return folder
    if named:
        raise ComfyUIUnavailable(f"COMFYUI_PATH={named} holds no ComfyUI.")
    if folder.exists():
        raise ComfyUIUnavailable(f"{folder} exists but holds no ComfyUI; remove it, or set COMFYUI_PATH.")
    if not reachable(SOURCE_HOST):
        raise ComfyUIUnavailable(f"None at {folder}, and {SOURCE_HOST} cannot be reached to install one.")
    say(f"installing ComfyUI at {folder} through comfy-cli")
    environment.make()
    try:
        install(folder, environment)
    except CommandFailed as error:
        raise ComfyUIUnavailable(f"comfy-cli could not install ComfyUI at {folder}.\n{error}") from error
    if not holds_comfyui(folder):
        raise ComfyUIUnavailable(f"comfy-cli finished, but {folder} holds no ComfyUI.")
    return folder


def install(folder: Path, environment: Environment) -> None:
    """The newest stable ComfyUI at `folder`: its source only; its requirements go to this project's environment."""
    environment.pip("install", "comfy-cli>=1.6")
    comfy = environment.python.with_name("comfy.exe" if os.name == "nt" else "comfy")
    command = [str(comfy), "--skip-prompt", "--workspace", str(folder), "install", "--cpu", "--version", "latest"]
    command += ["--skip-manager", "--skip-torch-or-directml", "--skip-requirement"]
    surroundings = {"VIRTUAL_ENV": str(environment.folder), "DO_NOT_TRACK": "1", "GIT_TERMINAL_PROMPT": "0"}
    run_logged(command, environment.log, environment=surroundings, timeout=INSTALL_SECONDS)
