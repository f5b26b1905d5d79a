"""Server profiles: a name for an address and for where its key is.

A key is never part of a workflow, a command or a message. A profile names the environment variable that holds it, or,
where no variable can be set, the profile file holds it; that file and its folder are readable by their owner alone
(mode 600 and 700; on Windows the user's own folder). Profiles live in the platform's configuration folder, or in the
folder that a host gives.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, ModelNotFound, ServerFailed, quoted, shortened
from ...settings import require_number
from ...user_folder import default_folder
from ...whole_file import whole_file
from ..catalog import PRESETS
from .address import is_this_machine, normalise_base_url
from .secret import Secret

logger = logging.getLogger(__name__)

FILE_NAME = "servers.json"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,38}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_VERSION = 1


@dataclass(frozen=True)
class Profile:
    """A server to ask: its name, its base address, and where its key comes from (a variable, the file, or none).

    patience: seconds that it may take to its first word, for one that loads large models; 0 for the usual limit.
    """

    name: str
    address: str
    key_variable: str = ""
    stored_key: Secret | None = None
    patience: float = 0.0

    def __post_init__(self) -> None:
        require_name(self.name)
        object.__setattr__(self, "address", normalise_base_url(self.address))
        if self.key_variable and not _VARIABLE.fullmatch(self.key_variable):
            raise InvalidInput(
                "What was given as the key's environment variable is not the name of one (letters, digits and _, no "
                "digit first). If it was the key itself: give the variable's name, or store the key in the profile."
            )
        require_number(self.patience, f"The patience with {self.name!r}, in seconds,", 0)
        if self.key_variable and self.stored_key:
            raise InvalidInput(f"The profile {self.name!r} has a variable for its key and a stored key. Give one.")

    @property
    def is_local(self) -> bool:
        return is_this_machine(self.address)

    def read_key(self) -> Secret | None:
        """The key, or None for a server without one. Raises when the variable is not set."""
        if not self.key_variable:
            return self.stored_key
        value = os.environ.get(self.key_variable, "")
        if not value.strip():
            raise ServerFailed(
                f"The profile {self.name!r} takes its key from the environment variable {self.key_variable}, which is "
                "not set here. Set it and start the program again.",
                "key",
            )
        return Secret(value)

    @property
    def key_source(self) -> str:
        """Where the key comes from, in words for people."""
        if self.key_variable:
            there = "set" if os.environ.get(self.key_variable, "").strip() else "not set"
            return f"key in ${self.key_variable} ({there})"
        return "key stored in the profile" if self.stored_key else "no key"


def list_profiles(folder: str | Path | None = None) -> tuple[Profile, ...]:
    """The profiles of the folder (None: the platform's) by name, then the presets of servers on this machine."""
    own = _read(_file(folder))
    presets = (Profile(name, address, variable) for name, (address, variable) in PRESETS.items())
    local = (preset for preset in presets if preset.is_local and preset.name not in own)
    return (*(own[name] for name in sorted(own, key=str.casefold)), *local)


def find_profile(name: str, folder: str | Path | None = None) -> Profile:
    """The profile of that name; ModelNotFound names those there are."""
    require_name(name)
    known = {profile.name: profile for profile in list_profiles(folder)}
    if name not in known:
        raise ModelNotFound(
            f"There is no server profile {quoted(name)}. There are: {', '.join(known)}. "
            "Add one with `python -m api_core servers add NAME ADDRESS`."
        )
    return known[name]


def save_profile(profile: Profile, folder: str | Path | None = None, *, replace: bool = False) -> Path:
    """Write the profile into the folder's file, which is returned. InvalidInput when the name is taken."""
    file = _file(folder)
    own = _read(file)
    if profile.name in own and not replace:
        raise InvalidInput(f"There is a profile {quoted(profile.name)} already. Remove it first, or ask to replace it.")
    _write(file, {**own, profile.name: profile})
    return file


def remove_profile(name: str, folder: str | Path | None = None) -> None:
    """Take the profile, and the key stored with it, out of the folder's file."""
    require_name(name)
    file = _file(folder)
    own = _read(file)
    if name not in own:
        why = "It is a preset, which is always there." if name in PRESETS else f"There are: {', '.join(own) or 'none'}."
        raise ModelNotFound(f"There is no profile {quoted(name)} to remove. {why}")
    _write(file, {key: value for key, value in own.items() if key != name})


def require_name(name: str) -> None:
    """InvalidInput unless `name` can name a profile. A name that cannot is not repeated: it may be a mistyped key."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "That cannot be the name of a server profile: up to 40 letters, digits, spaces and . _ -, the first and "
            "the last a letter or a digit."
        )


def _file(folder: str | Path | None) -> Path:
    return (Path(folder) if folder is not None else default_folder()) / FILE_NAME


def _read(file: Path) -> dict[str, Profile]:
    problem, profiles = "", {}
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] == _VERSION:
            profiles = {name: _from_entry(name, entry) for name, entry in content["profiles"].items()}
        else:
            problem = f"are of another version than {_VERSION}, the one that this program reads"
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({type(error).__name__})"
    except InvalidInput as error:
        problem = f"cannot be used ({str(error).rstrip('.')})"
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = "are damaged: this is not what the program wrote"
    if problem:  # raised outside `except`: a cause could quote the file, and there may be keys in it
        place = shortened(file, 200)
        raise InvalidInput(f"The server profiles at {place} {problem}. Mend the file, or delete it and add them again.")
    if any(profile.stored_key for profile in profiles.values()):
        _close_to_others(file)
    return profiles


def _from_entry(name: str, entry: Mapping[str, Any]) -> Profile:
    key = entry.get("key", "")
    patience = float(entry.get("patience", 0))
    return Profile(name, entry["address"], entry.get("key_variable", ""), Secret(key) if key else None, patience)


def _entry(profile: Profile) -> dict[str, Any]:
    key = profile.stored_key.reveal() if profile.stored_key else ""
    entry = {"address": profile.address, "key_variable": profile.key_variable, "key": key, "patience": profile.patience}
    return {name: value for name, value in entry.items() if value}


def _close_to_others(file: Path) -> None:
    """Make a file that holds keys readable by its owner alone, if somebody opened it to others."""
    if os.name == "nt" or not stat.S_IMODE(file.stat().st_mode) & 0o077:
        return
    logger.warning("%s holds a key and was readable by others; it is now readable by its owner alone.", file)
    file.chmod(0o600)


def _write(file: Path, profiles: Mapping[str, Profile]) -> None:
    content = {"version": _VERSION, "profiles": {name: _entry(profile) for name, profile in profiles.items()}}
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with whole_file(file) as part:
        part.unlink(missing_ok=True)
        # Created with its mode, not given it later: there is no moment in which others could open it.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
            stream.write("\n")
