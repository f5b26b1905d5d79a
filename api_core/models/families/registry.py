"""Which family a model belongs to."""

from __future__ import annotations

from typing import Any

from .adapter import Family
from .qwen_vl import QwenFamily

FAMILIES: tuple[Family, ...] = (
    Family("LLaVA-1.5", ("llava",), chunks=True),
    QwenFamily("Qwen2.5-VL", ("qwen2_5_vl",), chunks=True),
)
_BY_TYPE = {model_type: family for family in FAMILIES for model_type in family.model_types}


def family_of(config: Any) -> Family:
    """The family of a model by its configuration: a listed one, or the generic one under the model's own name."""
    return _BY_TYPE.get(config.model_type) or Family(config.model_type, (config.model_type,))
