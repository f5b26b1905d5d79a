"""List the models known by name, what each weighs, and whether it is here."""

import argparse

from ..models.catalog import CLIP_MODELS
from ..models.whereabouts import whereabouts
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
