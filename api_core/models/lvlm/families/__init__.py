"""What differs between families of vision-language models, and which family a model belongs to."""

from typing import Any

from .adapter import Family
from .any_resolution import AnyResolutionFamily, ShrunkAnyResolutionFamily
from .instructblip import InstructBlipFamily
from .paligemma import PaliGemmaFamily
from .qwen_vl import QwenFamily

__all__ = ["FAMILIES", "Family", "family_of"]

FAMILIES: tuple[Family, ...] = (
    Family("LLaVA-1.5", ("llava",), chunks=True),
    AnyResolutionFamily("LLaVA-NeXT", ("llava_next",), chunks=True),
    ShrunkAnyResolutionFamily("LLaVA-OneVision", ("llava_onevision",), chunks=True),
    QwenFamily("Qwen2-VL", ("qwen2_vl",), chunks=True),
    QwenFamily("Qwen2.5-VL", ("qwen2_5_vl",), chunks=True),
    QwenFamily("Qwen3-VL", ("qwen3_vl", "qwen3_vl_moe"), chunks=True),
    QwenFamily("Qwen3.5", ("qwen3_5", "qwen3_5_moe")),
    Family("InternVL", ("internvl",), chunks=True),
    Family("Gemma 3", ("gemma3",), placeholder="boi_token"),
    Family("Gemma 4", ("gemma4",)),
    Family("Idefics3", ("idefics3",), chunks=True),
    Family("SmolVLM2", ("smolvlm",), chunks=True),
    PaliGemmaFamily("PaliGemma", ("paligemma",), chunks=True),
    Family("Mistral3", ("mistral3",), chunks=True),
    Family("DeepSeek-VL hybrid", ("deepseek_vl_hybrid",), chunks=True),
    InstructBlipFamily(
        "InstructBLIP",
        ("instructblip",),
        no_layout="its query tokens each gather from the whole picture and have no place in it",
    ),
)
_BY_TYPE = {model_type: family for family in FAMILIES for model_type in family.model_types}


def family_of(config: Any) -> Family:
    """The family of a model by its configuration: a listed one, or the generic one under the model's own name."""
    return _BY_TYPE.get(config.model_type) or Family(config.model_type, (config.model_type,))
