"""What differs between families of vision-language models, and which family a model belongs to."""

from typing import Any

from .adapter import Family
from .any_resolution import AnyResolutionFamily, ShrunkAnyResolutionFamily
from .instructblip import InstructBlipFamily
from .llava import LlavaFamily
from .paligemma import PaliGemmaFamily

__all__ = ["FAMILIES", "Family", "family_of"]

FAMILIES: tuple[Family, ...] = (
    LlavaFamily("LLaVA-1.5", ("llava",)),
    AnyResolutionFamily("LLaVA-NeXT", ("llava_next",)),
    ShrunkAnyResolutionFamily("LLaVA-OneVision", ("llava_onevision",)),
    Family("Qwen2-VL", ("qwen2_vl",)),
    Family("Qwen2.5-VL", ("qwen2_5_vl",)),
    Family("Qwen3-VL", ("qwen3_vl", "qwen3_vl_moe")),
    Family("Qwen3.5", ("qwen3_5", "qwen3_5_moe")),
    Family("InternVL", ("internvl",)),
    Family("Gemma 3", ("gemma3",), placeholder="boi_token"),
    Family("Gemma 4", ("gemma4",)),
    Family("Idefics3", ("idefics3",)),
    Family("SmolVLM2", ("smolvlm",)),
    PaliGemmaFamily("PaliGemma", ("paligemma",)),
    Family("Mistral3", ("mistral3",)),
    Family("DeepSeek-VL hybrid", ("deepseek_vl_hybrid",)),
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
