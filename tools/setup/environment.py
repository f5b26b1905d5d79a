"""Make the project's own environment in .venv and install what a `make` target needs.

    python3 tools/setup/environment.py standalone|test|dev

Needs Python 3.10 or newer and nothing else. An environment counts as made when what everything stands on was seen to
work in it (proof.py); where the newest packages do not, older sets are tried (sets.py). Running it again does nothing
until pyproject.toml, ComfyUI's requirements or the environment itself change (stamp.py), and repairs a broken one.
pip's own lines are in .venv/setup.log.

`test` looks for a ComfyUI too (see comfyui.py) and leaves the place in .venv/comfyui-path; where there is none the
tests in it are skipped, with REQUIRE_COMFYUI=1 the command fails.
"""

from __future__ import annotations  # so that a Python that is too old gets as far as saying so

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from datetime import datetime
from pathlib import Path

import stamp as stamps
from comfyui import ComfyUIUnavailable, find_or_install
from logged import CommandFailed, excerpt, run_logged, say
from proof import DISTRIBUTIONS, Unproven, prove
from sets import Failed, attempts, no_such_set
from stamp import Stamp

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("standalone", "test", "dev")
"""Each holds the one before it."""


class SetupFailed(Exception):
    """No environment that works; the message is one sentence, and the lines of pip that matter."""


class NoSetWorks(SetupFailed):
    """Everything that was tried is named."""


class Environment:
    """The folder with Python, what is installed in it, and its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.log = folder / "setup.log"
        self.made = False

    def make(self, *, anew: bool = False) -> None:
        """A Python with pip; what else was there goes where `anew`, or where that much does not work."""
        if not anew and self.works():
            return
        say(f"making {self.folder}")
        log = self.log.read_text(encoding="utf-8") if self.log.is_file() else ""
        try:
            venv.create(self.folder, with_pip=True, clear=self.folder.exists())
        except subprocess.CalledProcessError as error:
            said = excerpt((error.output or b"").decode(errors="replace"))
            hint = "On Debian and Ubuntu: apt install python3-venv."
            raise SetupFailed(f"{sys.executable} cannot make {self.folder} with pip in it. {hint}\n{said}") from error
        except OSError as error:
            raise SetupFailed(f"{self.folder} cannot be made: {error}.") from error
        self.log.write_text(f"{log}\n== {datetime.now():%Y-%m-%d %H:%M:%S} {self.folder} made\n", encoding="utf-8")
        self.made = True
        try:
            self.pip("install", "--upgrade", "pip>=24.1")
        except CommandFailed as error:
            raise SetupFailed(f"pip could not be renewed in {self.folder}.\n{error}") from error

    def works(self) -> bool:
        if not self.python.exists():
            return False
        try:
            return not subprocess.run([str(self.python), "-m", "pip", "--version"], capture_output=True).returncode
        except OSError:
            return False

    def pip(self, job: str, *arguments: str) -> None:
        """Run pip with a log. Raises CommandFailed."""
        command = [str(self.python), "-m", "pip", job, "--disable-pip-version-check", "--no-input"]
        if job == "install" and self.pip_tells_progress():
            command += ["--progress-bar", "raw"]
        run_logged([*command, *arguments], self.log, cwd=ROOT)

    def pip_tells_progress(self) -> bool:
        numbers = (stamps.version_of(self.entries(), "pip") or "0.0").split(".")[:2]
        return [int(number) for number in numbers] >= [24, 1]

    def entries(self) -> list[str]:
        return stamps.entries_of(stamps.site_packages(self.folder))

    def versions(self) -> dict[str, str]:
        """Of what must load: the versions that are there."""
        return versions_in(self.entries())


def versions_in(entries: list[str]) -> dict[str, str]:
    found = {name: stamps.version_of(entries, name) for name in DISTRIBUTIONS.values()}
    return {name: version for name, version in found.items() if version}


def asked_for(extra: str, comfyui: Path | None) -> dict[str, str]:
    """What decides what is installed, as digests."""
    asked = {extra: hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()}
    if comfyui:
        requirements = (comfyui / "requirements.txt").read_bytes()
        asked["comfyui"] = hashlib.sha256(str(comfyui).encode() + requirements).hexdigest()
    return asked


def holds(stamp: Stamp, extra: str, comfyui: Path | None) -> bool:
    """Whether that much was asked for when the environment was proven."""
    asked = asked_for(extra, comfyui)
    enough = (extra, *EXTRAS[EXTRAS.index(extra) + 1 :])
    return asked[extra] in [stamp.asked.get(name) for name in enough] and (
        comfyui is None or stamp.asked.get("comfyui") == asked["comfyui"]
    )


def install(environment: Environment, extra: str, comfyui: Path | None) -> None:
    """Install the project in editable form with `extra`, and all that ComfyUI asks for where there is one.

    What is there already stays where it works. Raises SetupFailed where nothing was found that does.
    """
    stamp = stamps.read(environment.folder)
    if stamp and stamp.place != str(environment.folder):
        say(f"{environment.folder} was made at {stamp.place}, which its scripts name: not to be used any more")
        environment.make(anew=True)
        stamp = None
    harm = stamps.damaged(environment.folder, stamp) if stamp else []
    if stamp and not harm and not stamps.changed(environment.folder, stamp) and holds(stamp, extra, comfyui):
        return
    (environment.folder / stamps.NAME).unlink(missing_ok=True)
    environment.make()
    say(f"installing what '{extra}' needs" + (f" and what {comfyui} needs" if comfyui else "") + ": minutes at first")
    if stamp and harm:
        repair(environment, harm)
    requirements = ["-e", f"{ROOT}[{extra}]"]
    if comfyui:
        requirements += ["-r", str(comfyui / "requirements.txt"), "torch", "torchvision", "torchaudio"]
    proven = versions_in(stamp.entries) if stamp else {}
    find_set(environment, requirements, proven, audio=comfyui is not None)
    if comfyui:
        # The newest page: people get it before ComfyUI's source names it, and the faces of the nodes live in it.
        pip_or_fail(environment, "install", "--upgrade", "comfyui-frontend-package")
    made = stamps.look(environment.folder)
    before = stamp.asked if stamp and not environment.made else {}
    made.asked = {**before, **asked_for(extra, comfyui)}
    stamps.write(environment.folder, made)


def repair(environment: Environment, harm: list[str]) -> None:
    """Install again what lost files; the project itself is installed each time anyway."""
    owners = [name for name in stamps.owners(environment.folder, harm) if not name.startswith("attention_prompting")]
    if not owners:
        return
    say(f"{len(harm)} files of the environment are gone or changed, such as {harm[0]}: installing their packages again")
    try:
        environment.pip("install", "--force-reinstall", "--no-deps", *owners)
    except CommandFailed as error:
        raise SetupFailed(f"{', '.join(owners)} cannot be installed again.\n{error}") from error


def find_set(environment: Environment, requirements: list[str], proven: dict[str, str], *, audio: bool) -> None:
    """Install the first set that is proven."""
    failures: list[Failed] = []
    for attempt in attempts(environment.versions(), proven, failures):
        if failures:
            say(f"tried {failures[-1]}. Next: {attempt.what}")
        if attempt.anew:
            environment.make(anew=True)
        try:
            environment.pip("install", *requirements, *attempt.arguments)
        except CommandFailed as error:
            if not no_such_set(error.output):
                raise SetupFailed(f"pip could not install what is needed.\n{error}") from error
            failures.append(Failed(attempt, {}, str(error)))
            continue
        versions = environment.versions()
        told = [failed.why for failed in failures if failed.versions == versions and not attempt.anew]
        why = told[0] if told else checked(environment, versions, audio=audio)
        if why is None:
            say("works: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
            return
        failures.append(Failed(attempt, versions, why))
    tried = "; ".join([str(failures[0]), *(failed.short() for failed in failures[1:])])
    conflict = next((f"\n{failed.why}" for failed in failures if isinstance(failed.why, str)), "")
    raise NoSetWorks(f"No set of torch and what must load with it works here. Tried: {tried}.{conflict}")


def checked(environment: Environment, versions: dict[str, str], *, audio: bool) -> Unproven | None:
    say("installed " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ": trying them")
    return prove(environment.python, audio=audio)


def pip_or_fail(environment: Environment, job: str, *arguments: str) -> None:
    try:
        environment.pip(job, *arguments)
    except CommandFailed as error:
        raise SetupFailed(f"pip {job} {' '.join(arguments)} failed.\n{error}") from error


def prepare(environment: Environment, extra: str) -> None:
    if extra != "test":
        install(environment, extra, None)
        return
    place = environment.folder / "comfyui-path"
    try:
        comfyui = find_or_install(environment, say)
        install(environment, extra, comfyui)
        place.write_text(str(comfyui))
        say(f"ComfyUI: {comfyui}")
    except (ComfyUIUnavailable, SetupFailed) as error:
        if os.environ.get("REQUIRE_COMFYUI"):
            raise SetupFailed(f"REQUIRE_COMFYUI is set, and there is no usable ComfyUI: {error}") from error
        say("=" * 100)
        say(f"NO COMFYUI: the tests that need one are SKIPPED. {error}")
        say("=" * 100)
        if isinstance(error, NoSetWorks) and "torchaudio" in environment.versions():
            pip_or_fail(
                environment, "uninstall", "--yes", "torchaudio"
            )  # there for ComfyUI alone, and transformers loads it
        install(environment, extra, None)
        place.write_text("none-installed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extra", choices=EXTRAS)
    extra = parser.parse_args().extra
    if sys.version_info < (3, 10):  # noqa: UP036
        version = sys.version.split()[0]
        raise SystemExit(f"[setup] Python {version} is too old: run make with PYTHON=python3.10 or newer.")
    environment = Environment(ROOT / ".venv")
    try:
        prepare(environment, extra)
    except SetupFailed as error:
        log = f"\n[setup] All that pip said: {environment.log}" if environment.log.is_file() else ""
        raise SystemExit(f"[setup] FAILED: {error}{log}") from error
    except KeyboardInterrupt:
        raise SystemExit("[setup] stopped; the same command goes on from here.") from None


if __name__ == "__main__":
    main()
