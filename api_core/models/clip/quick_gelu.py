"""The activation that some published weights need: with the other one they run, and mean nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UnsupportedModel


def needs_quick_gelu(*names: str | None) -> bool:
    """Whether weights of these names (tag, repository, folder) are OpenAI's, which were all trained with QuickGELU."""
    return any("openai" in name.casefold() for name in names if name)


def published_names(path: Path) -> tuple[str, ...]:
    """The names by which a file or a folder can tell whose weights it holds: its own, and the cache's name of it."""
    cached = [part for part in path.parts if part.startswith("models--")]
    return (path.name, path.parent.name if path.is_file() else "", *cached)


def with_quick_gelu(model_config: Mapping[str, Any], needed: bool, where: str) -> dict[str, Any]:
    """An open_clip `model_cfg` whose activation fits its weights; a configuration that says otherwise is an error."""
    config = dict(model_config)
    if needed and config.get("quick_gelu") is False:
        raise UnsupportedModel(
            f"{where} asks for plain GELU, but its weights were trained with QuickGELU and give wrong maps without. "
            'Set "quick_gelu": true in its configuration, or remove the entry.'
        )
    if needed:
        config["quick_gelu"] = True
    return config
