"""List the models known by name, what each weighs, and whether it is here."""

import argparse

from ..errors import AttentionPromptingError
from ..models.catalog import CLIP_MODELS, ClipEntry
from ..models.clip import open_clip_source, transformers_source
from ..models.files.local import HubFiles, find_in_cache
from .terminal import say


def run(options: argparse.Namespace) -> int:
    """Write one line per model; returns the number of failures, which is 0."""
    width = max(len(entry.name) for entry in CLIP_MODELS)
    for entry in CLIP_MODELS:
        say(f"{entry.name:<{width}}  {whereabouts(entry):<18}  {size(entry.size_bytes):>8}  {entry.licence}")
        if options.notes and entry.note:
            say(f"{'':<{width}}  {entry.note}")
    say("Any other model: --model FOLDER, in open_clip's or transformers' layout.")
    return 0


def size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def whereabouts(entry: ClipEntry) -> str:
    """Whether a model is embedded, lies whole in the hub's cache, lies there damaged, or is still to be downloaded."""
    if entry.repo is None:
        return "embedded"
    source = open_clip_source if entry.source == "open_clip" else transformers_source
    files = HubFiles.of(entry, source.PATTERNS)
    try:
        return "on this machine" if find_in_cache(files, source.is_complete) else "to download"
    except AttentionPromptingError:
        return "incomplete"
