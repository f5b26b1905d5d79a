"""Which servers a workflow may name: profiles, which hold addresses and keys, and no workflow does."""

import logging

from ..api_core.errors import AttentionPromptingError, ModelNotFound
from ..api_core.models.server import PRESETS, Profile, ServerModel, connect, find_profile, list_profiles
from . import host

logger = logging.getLogger(__name__)


def names() -> list[str]:
    """The profiles' names, the user's own first; a damaged file is told of when one is chosen, and hides no node."""
    try:
        return [profile.name for profile in list_profiles(host.settings_folder())]
    except AttentionPromptingError as error:
        logger.warning("%s", error)
        return list(PRESETS)


def find(name: str) -> Profile:
    """The profile of that name; the error says how to add one."""
    folder = host.settings_folder()
    try:
        return find_profile(name, folder)
    except ModelNotFound as error:
        raise ModelNotFound(f"{error} ComfyUI's profiles lie in {folder}: --folder names it.") from None


def fingerprint() -> str:
    """Changes when the profiles do. Nothing of what is in them is part of it."""
    files = sorted(host.settings_folder().glob("*.json"))
    return ", ".join(f"{file.name} {file.stat().st_mtime_ns}" for file in files)


def get_server(profile: str, model: str) -> ServerModel:
    """The server of that profile, asked for that model (empty: the only one it serves)."""
    return connect(find(profile), model.strip())
