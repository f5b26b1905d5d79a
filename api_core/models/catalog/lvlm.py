"""The vision-language models that are known by name."""

from dataclasses import dataclass

RELATIVE_LAYER = 0.55
"""Which layer is read where an entry names none, as a share of the depth: the paper's layer is 20 of 40, and of 32."""

PUBLISHED_CONTRAST = 10.0
"""The published package's default for its LLaVA."""

AVISC_ALPHA = 2.5
"""How much AvisC counts blind tokens against an answer: the paper's number for LLaVA-1.5."""


@dataclass(frozen=True)
class LvlmEntry:
    """A known vision-language model: where its weights are and what suits it.

    repo: the repository of the hub that holds them, None for a model that ships with the package; revision: the commit
    that is used, None for its main branch as it stands when it is first downloaded. layers: the decoder layers whose
    attention is read, counted from 0; none: one at `relative_layer` of the depth. contrast: gain of the sigmoid;
    smoothing: side of the box filter in patches. avisc_alpha: how much AvisC counts blind tokens against an answer.
    size_bytes: what a download weighs, about. aliases: further names it answers to.
    """

    name: str
    repo: str | None
    revision: str | None = None
    layers: tuple[int, ...] = ()
    relative_layer: float = RELATIVE_LAYER
    contrast: float = 1.0
    smoothing: int = 3
    avisc_alpha: float = AVISC_ALPHA
    size_bytes: int = 0
    licence: str = ""
    note: str = ""
    aliases: tuple[str, ...] = ()


EMBEDDED_LVLM = "tiny-lvlm"

# Layer 20 of the LLaVA-1.5 entries is the published package's own default, for both of its sizes.
LVLM_MODELS: tuple[LvlmEntry, ...] = (
    LvlmEntry(
        EMBEDDED_LVLM,
        repo=None,
        layers=(1,),
        licence="MIT",
        size_bytes=4_322_000,
        note="Ships with the pack. Knows drawn shapes and colours only: for trying out and for tests.",
    ),
    LvlmEntry(
        "llava-1.5-7b",
        repo="llava-hf/llava-1.5-7b-hf",
        layers=(20,),
        contrast=PUBLISHED_CONTRAST,
        size_bytes=14_126_000_000,
        licence="Llama 2 community",
        note="The paper's smaller model: 24 x 24 tokens on the centre of the picture.",
        aliases=("llava-v1.5-7b", "llava-1.5-7b-hf", "liuhaotian/llava-v1.5-7b"),
    ),
    LvlmEntry(
        "llava-1.5-13b",
        repo="llava-hf/llava-1.5-13b-hf",
        layers=(20,),
        contrast=PUBLISHED_CONTRAST,
        size_bytes=26_699_000_000,
        licence="Llama 2 community",
        note="The paper's model: 24 x 24 tokens on the centre of the picture.",
        aliases=("llava-v1.5-13b", "llava-1.5-13b-hf", "liuhaotian/llava-v1.5-13b"),
    ),
    LvlmEntry(
        "llava-v1.6-mistral-7b",
        repo="llava-hf/llava-v1.6-mistral-7b-hf",
        size_bytes=15_133_000_000,
        licence="Apache-2.0",
        note="LLaVA-NeXT: the whole picture, and tiles of it.",
        aliases=("llava-next-mistral-7b",),
    ),
    LvlmEntry(
        "llava-v1.6-vicuna-7b",
        repo="llava-hf/llava-v1.6-vicuna-7b-hf",
        size_bytes=14_126_000_000,
        licence="Llama 2 community",
        note="LLaVA-NeXT on LLaVA-1.5's language model.",
        aliases=("llava-next-vicuna-7b",),
    ),
    LvlmEntry(
        "llava-onevision-0.5b",
        repo="llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        size_bytes=1_787_000_000,
        licence="Apache-2.0",
        note="Small: for a machine without a GPU.",
    ),
    LvlmEntry(
        "llava-onevision-7b",
        repo="llava-hf/llava-onevision-qwen2-7b-ov-hf",
        size_bytes=16_060_000_000,
        licence="Apache-2.0",
        note="Several pictures, fine grids.",
    ),
    LvlmEntry(
        "Qwen2-VL-2B",
        repo="Qwen/Qwen2-VL-2B-Instruct",
        size_bytes=4_418_000_000,
        licence="Apache-2.0",
        note="Keeps the picture's shape; set max_pixels for large pictures.",
        aliases=("Qwen2-VL-2B-Instruct",),
    ),
    LvlmEntry(
        "Qwen2-VL-7B",
        repo="Qwen/Qwen2-VL-7B-Instruct",
        size_bytes=16_583_000_000,
        licence="Apache-2.0",
        note="Keeps the picture's shape; set max_pixels for large pictures.",
        aliases=("Qwen2-VL-7B-Instruct",),
    ),
    LvlmEntry(
        "Qwen2.5-VL-3B",
        repo="Qwen/Qwen2.5-VL-3B-Instruct",
        size_bytes=7_510_000_000,
        licence="Qwen research",
        note="Not for commercial use. Keeps the picture's shape.",
        aliases=("Qwen2.5-VL-3B-Instruct",),
    ),
    LvlmEntry(
        "Qwen2.5-VL-7B",
        repo="Qwen/Qwen2.5-VL-7B-Instruct",
        size_bytes=16_584_000_000,
        licence="Apache-2.0",
        note="Keeps the picture's shape; set max_pixels for large pictures.",
        aliases=("Qwen2.5-VL-7B-Instruct",),
    ),
    LvlmEntry(
        "Qwen3-VL-2B",
        repo="Qwen/Qwen3-VL-2B-Instruct",
        size_bytes=4_255_000_000,
        licence="Apache-2.0",
        note="A good choice for 8 GB.",
        aliases=("Qwen3-VL-2B-Instruct",),
    ),
    LvlmEntry(
        "Qwen3-VL-4B",
        repo="Qwen/Qwen3-VL-4B-Instruct",
        size_bytes=8_876_000_000,
        licence="Apache-2.0",
        note="A good choice for 12 GB.",
        aliases=("Qwen3-VL-4B-Instruct",),
    ),
    LvlmEntry(
        "Qwen3-VL-8B",
        repo="Qwen/Qwen3-VL-8B-Instruct",
        size_bytes=17_534_000_000,
        licence="Apache-2.0",
        note="A good choice for 24 GB.",
        aliases=("Qwen3-VL-8B-Instruct",),
    ),
    LvlmEntry(
        "Qwen3.5-0.8B",
        repo="Qwen/Qwen3.5-0.8B",
        size_bytes=1_750_000_000,
        licence="Apache-2.0",
        note="Small. Only every fourth layer has attention that can be read.",
    ),
    LvlmEntry(
        "Qwen3.5-2B",
        repo="Qwen/Qwen3.5-2B",
        size_bytes=4_550_000_000,
        licence="Apache-2.0",
        note="Only every fourth layer has attention that can be read.",
    ),
    LvlmEntry(
        "Qwen3.5-4B",
        repo="Qwen/Qwen3.5-4B",
        size_bytes=9_300_000_000,
        licence="Apache-2.0",
        note="Only every fourth layer has attention that can be read.",
    ),
    LvlmEntry(
        "InternVL3-1B",
        repo="OpenGVLab/InternVL3-1B-hf",
        size_bytes=1_877_000_000,
        licence="Apache-2.0, Qwen's for the language model",
        note="Small: tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "InternVL3-8B",
        repo="OpenGVLab/InternVL3-8B-hf",
        size_bytes=15_889_000_000,
        licence="Apache-2.0, Qwen's for the language model",
        note="Tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "InternVL3.5-1B",
        repo="OpenGVLab/InternVL3_5-1B-HF",
        size_bytes=2_122_000_000,
        licence="Apache-2.0",
        note="Small: tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "InternVL3.5-2B",
        repo="OpenGVLab/InternVL3_5-2B-HF",
        size_bytes=4_697_000_000,
        licence="Apache-2.0",
        note="Tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "InternVL3.5-4B",
        repo="OpenGVLab/InternVL3_5-4B-HF",
        size_bytes=9_464_000_000,
        licence="Apache-2.0",
        note="Tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "InternVL3.5-8B",
        repo="OpenGVLab/InternVL3_5-8B-HF",
        size_bytes=17_056_000_000,
        licence="Apache-2.0",
        note="Tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "gemma-3-4b",
        repo="google/gemma-3-4b-it",
        size_bytes=8_600_000_000,
        licence="Gemma; accept it on the hub first",
        note="16 x 16 tokens, whatever the picture's size.",
        aliases=("gemma-3-4b-it",),
    ),
    LvlmEntry(
        "gemma-3-12b",
        repo="google/gemma-3-12b-it",
        size_bytes=24_375_000_000,
        licence="Gemma; accept it on the hub first",
        note="16 x 16 tokens, whatever the picture's size.",
        aliases=("gemma-3-12b-it",),
    ),
    LvlmEntry(
        "gemma-4-E2B",
        repo="google/gemma-4-E2B-it",
        size_bytes=10_250_000_000,
        licence="Apache-2.0",
        note="Sees many sizes of picture.",
        aliases=("gemma-4-E2B-it",),
    ),
    LvlmEntry(
        "gemma-4-E4B",
        repo="google/gemma-4-E4B-it",
        size_bytes=15_990_000_000,
        licence="Apache-2.0",
        note="Sees many sizes of picture.",
        aliases=("gemma-4-E4B-it",),
    ),
    LvlmEntry(
        "SmolVLM2-256M",
        repo="HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        size_bytes=1_026_000_000,
        licence="Apache-2.0",
        note="The smallest: answers on any machine. Stored as float32.",
        aliases=("SmolVLM2-256M-Video-Instruct",),
    ),
    LvlmEntry(
        "SmolVLM2-500M",
        repo="HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        size_bytes=2_030_000_000,
        licence="Apache-2.0",
        note="Small: for a machine without a GPU. Stored as float32.",
        aliases=("SmolVLM2-500M-Video-Instruct",),
    ),
    LvlmEntry(
        "SmolVLM2-2.2B",
        repo="HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        size_bytes=8_987_000_000,
        licence="Apache-2.0",
        note="Tiles of 9 x 9 tokens. Stored as float32.",
        aliases=("SmolVLM2-2.2B-Instruct",),
    ),
    LvlmEntry(
        "paligemma2-3b-mix",
        repo="google/paligemma2-3b-mix-224",
        size_bytes=6_066_000_000,
        licence="Gemma; accept it on the hub first",
        note="Answers in few words; no chat. 16 x 16 tokens.",
        aliases=("paligemma2-3b-mix-224",),
    ),
    LvlmEntry(
        "Mistral-Small-3.1-24B",
        repo="mistralai/Mistral-Small-3.1-24B-Instruct-2503",
        size_bytes=48_022_000_000,
        licence="Apache-2.0",
        note="Large; keeps the picture's shape.",
        aliases=("Mistral-Small-3.1-24B-Instruct-2503",),
    ),
    LvlmEntry(
        "deepseek-vl-1.3b",
        repo="deepseek-community/deepseek-vl-1.3b-chat",
        size_bytes=3_960_000_000,
        licence="DeepSeek model licence",
        note="Small: 24 x 24 tokens.",
    ),
    LvlmEntry(
        "instructblip-vicuna-7b",
        repo="Salesforce/instructblip-vicuna-7b",
        avisc_alpha=3.0,
        size_bytes=31_600_000_000,
        licence="Llama 2 community, not for commercial use",
        note="Answers only: its tokens have no place in the picture. Stored as float32.",
    ),
)


def list_lvlm_models() -> list[str]:
    """The names of the catalog, the embedded model first."""
    return [entry.name for entry in LVLM_MODELS]


def find_lvlm_model(name: str) -> LvlmEntry | None:
    """The entry of that name or alias, in any case; None for a name the catalog does not hold."""
    wanted = name.strip().casefold()
    for entry in LVLM_MODELS:
        if wanted in (entry.name.casefold(), *(alias.casefold() for alias in entry.aliases)):
            return entry
    return None


def avisc_alpha(model_name: str, alpha: float | None = None) -> float:
    """AvisC's alpha: what is given, and for None what suits the model; the paper's for LLaVA-1.5 if it has no entry."""
    if alpha is not None:
        return alpha
    entry = find_lvlm_model(model_name)
    return AVISC_ALPHA if entry is None else entry.avisc_alpha
