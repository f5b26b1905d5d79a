"""Tiny random vision-language models of every family, each a complete folder that transformers loads offline.

`folder("qwen2.5-vl", root)` builds one under `root` (once) and returns its path; `AutoProcessor` and
`AutoModelForImageTextToText` load it without any code of ours. Their weights are noise: they see, they answer nonsense.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from . import llava, qwen_vl
from .saving import Recipe

_RECIPES: Mapping[str, Recipe] = {**llava.RECIPES, **qwen_vl.RECIPES}

FAMILIES: tuple[str, ...] = tuple(_RECIPES)
"""The name of every family, whether or not the transformers at hand knows it."""

logger = logging.getLogger(__name__)


def available(name: str) -> str | None:
    """Why the transformers at hand cannot build the family; None when it can."""
    import transformers

    missing = [needed for needed in _RECIPES[name].needs if not hasattr(transformers, needed)]
    return f"transformers {transformers.__version__} has no {', '.join(missing)}" if missing else None


def folder(name: str, root: Path) -> Path:
    """The folder of a tiny model of that family under `root`, built when it is not there yet."""
    place = root / name
    if place.is_dir():
        return place
    unfinished = root / f".{name}-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    logger.debug("Building %s", place)
    _RECIPES[name].build(unfinished)
    unfinished.rename(place)
    return place
