"""Tiny random vision-language models of every family, each a complete folder that transformers loads offline.

`folder("qwen2.5-vl", root)` builds one under `root` (once) and returns its path; `AutoProcessor` and
`AutoModelForImageTextToText` load it without any code of ours. Their weights are noise: they see, they answer nonsense.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from . import further, gemma_family, instructblip, llava, own_shapes, qwen_vl, tiles
from .saving import Recipe

_RECIPES: Mapping[str, Recipe] = {
    **llava.RECIPES,
    **qwen_vl.RECIPES,
    **gemma_family.RECIPES,
    **tiles.RECIPES,
    **own_shapes.RECIPES,
    **instructblip.RECIPES,
    **further.RECIPES,
}

FAMILIES: tuple[str, ...] = (
    "llava-1.5",
    "llava-next",
    "llava-onevision",
    "qwen2-vl",
    "qwen2.5-vl",
    "qwen3-vl",
    "qwen3.5",
    "internvl",
    "gemma3",
    "gemma4",
    "smolvlm2",
    "idefics3",
    "paligemma",
    "mistral3",
    "deepseek-vl-hybrid",
    "instructblip",
    "aya-vision",
    "glm4v",
)
"""The name of every family, whether or not the transformers at hand knows it; no adapter names the last two."""

QUICK: tuple[str, ...] = ("llava-1.5", "qwen2.5-vl", "gemma3")
"""The families of `make check`: three unlike ways to lay a picture out. `make test` takes all."""

FURTHER: tuple[str, ...] = tuple(further.RECIPES)
"""More models for the generic adapter alone: too many to run every test on."""

WITHOUT_CHAT: tuple[str, ...] = ("paligemma", "instructblip")
"""Families that are published without a chat template."""

WITHOUT_PLACES: tuple[str, ...] = ("instructblip",)
"""Families whose image tokens lie nowhere in the picture."""

_CANNOT_ANSWER = {"llama4": "5.24."}
"""Families whose own forward pass fails in the end, with the beginning of the transformers version that does so."""

logger = logging.getLogger(__name__)


def available(name: str) -> str | None:
    """Why the transformers at hand cannot build the family; None when it can."""
    import transformers

    recipe = _RECIPES[name]
    missing = [needed for needed in recipe.needs if not hasattr(transformers, needed)]
    if missing:
        return f"transformers {transformers.__version__} has no {', '.join(missing)}"
    absent = [module for module in recipe.modules if find_spec(module) is None]
    return f"its processor asks for {', '.join(absent)}" if absent else None


def cannot_answer(name: str) -> str | None:
    """Why the transformers at hand can build the family but not run it to the end; None where it can."""
    import transformers

    broken = name in _CANNOT_ANSWER and transformers.__version__.startswith(_CANNOT_ANSWER[name])
    return f"{name}'s own forward pass fails in transformers {transformers.__version__}" if broken else None


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
