"""Make the project's own environment in .venv and install what a `make` target needs.

    python3 tools/setup/environment.py standalone|test|dev

Needs Python 3.10 or newer and nothing else. Running it again does nothing until pyproject.toml, ComfyUI's requirements
or the Python version change. `test` looks for a ComfyUI too (see comfyui.py) and leaves the place in
.venv/comfyui-path; where there is none the tests in it are skipped, with REQUIRE_COMFYUI=1 the command fails.
"""

from __future__ import annotations  # so that a Python that is too old gets as far as saying so

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from comfyui import ComfyUIUnavailable, find_or_install

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
COMFYUI_PATH_FILE = ENVIRONMENT / "comfyui-path"


def say(message: str) -> None:
    print(f"[setup] {message}", flush=True)


def pip_install(*requirements: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *requirements]
    subprocess.run(command, check=True, cwd=ROOT)


def fingerprint(extra: str, comfyui: Path | None) -> str:
    """Changes with whatever decides what is installed."""
    files = [ROOT / "pyproject.toml", *([comfyui / "requirements.txt"] if comfyui else [])]
    digest = hashlib.sha256(f"{extra} {sys.version} {comfyui}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def make_environment() -> None:
    if not PYTHON.exists():
        say(f"making {ENVIRONMENT}")
        venv.create(ENVIRONMENT, with_pip=True, clear=ENVIRONMENT.exists())
        pip_install("--upgrade", "pip>=23.1")


def install(extra: str, comfyui: Path | None) -> None:
    """Install the project in editable form with `extra`, and all that ComfyUI asks for where there is one."""
    stamp = ENVIRONMENT / f"installed-{extra}"
    wanted = fingerprint(extra, comfyui)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"installing what '{extra}' needs" + (f" and what {comfyui} needs" if comfyui else ""))
    if comfyui:
        install_torch_with_audio()
        pip_install("-r", str(comfyui / "requirements.txt"), "-e", f"{ROOT}[{extra}]")
        # The newest page: people get it before ComfyUI's source names it, and the faces of the nodes live in it.
        pip_install("--upgrade", "comfyui-frontend-package")
    else:
        pip_install("-e", f"{ROOT}[{extra}]")
    stamp.write_text(wanted)


def install_torch_with_audio() -> None:
    """The newest torchaudio and the torch of the same version, before anything else settles on a newer torch.

    ComfyUI imports torchaudio, whose wheels name no torch but load with their own version of it only.
    """
    pip_install("torchaudio", "--no-deps")
    ask = "import importlib.metadata as m; print('.'.join(m.version('torchaudio').split('+')[0].split('.')[:2]))"
    release = subprocess.run([str(PYTHON), "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    pip_install(f"torch=={release}.*", "torchvision")


def prepare(extra: str) -> None:
    make_environment()
    if extra != "test":
        install(extra, None)
        return
    required = bool(os.environ.get("REQUIRE_COMFYUI"))
    try:
        comfyui = find_or_install(PYTHON, say, pip_install)
        install(extra, comfyui)
        COMFYUI_PATH_FILE.write_text(str(comfyui))
        say(f"ComfyUI: {comfyui}")
    except (ComfyUIUnavailable, subprocess.CalledProcessError) as error:
        if required:
            raise SystemExit(f"[setup] REQUIRE_COMFYUI is set, and there is no usable ComfyUI: {error}") from error
        say("=" * 100)
        say(f"NO COMFYUI: the tests that need one are SKIPPED. {error}")
        say("=" * 100)
        install(extra, None)
        COMFYUI_PATH_FILE.write_text("none-installed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extra", choices=("standalone", "test", "dev"))
    extra = parser.parse_args().extra
    if sys.version_info < (3, 10):  # noqa: UP036
        version = sys.version.split()[0]
        raise SystemExit(f"[setup] Python {version} is too old: run make with PYTHON=python3.10 or newer.")
    try:
        prepare(extra)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"[setup] failed: {' '.join(map(str, error.cmd))}. pip's own lines above say why.") from error


if __name__ == "__main__":
    main()
