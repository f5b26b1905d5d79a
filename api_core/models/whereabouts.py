"""Whether a model's weights are on this machine, without loading or fetching them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import AttentionPromptingError
from .catalog import ClipEntry, LvlmEntry
from .clip import open_clip_source, transformers_source
from .clip.load import single_file
from .files.local import HubFiles, find_in_cache, find_in_folders
from .files.transformers_folder import is_complete
from .lvlm import build

THERE = ("embedded", "on this machine")
"""What `whereabouts` says of a model that can be loaded."""


def whereabouts(entry: ClipEntry | LvlmEntry, folders: Sequence[Path] = ()) -> str:
    """Whether a model is embedded, lies whole in one of the folders or the hub's cache, lies there damaged, or is still
    to be downloaded."""
    if entry.repo is None:
        return "embedded"
    if isinstance(entry, LvlmEntry):
        patterns, whole = build.PATTERNS, is_complete
    else:
        source = open_clip_source if entry.source == "open_clip" else transformers_source
        patterns, whole = source.PATTERNS, source.is_complete
    files = HubFiles.of(entry, patterns)
    try:
        alone = single_file(entry, folders) if isinstance(entry, ClipEntry) else None
        found = alone or find_in_folders(files, folders, whole) or find_in_cache(files, whole)
    except AttentionPromptingError:
        return "incomplete"
    return "on this machine" if found else "to download"
