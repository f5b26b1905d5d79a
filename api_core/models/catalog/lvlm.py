"""The vision-language models that are known by name."""

from dataclasses import KW_ONLY, dataclass

RELATIVE_LAYER = 0.55
"""Which layer is read where an entry names none, as a share of the depth: the paper's layer is 20 of 40, and of 32."""

PUBLISHED_CONTRAST = 10.0
"""The published package's default for its LLaVA."""

AVISC_ALPHA = 2.5
"""How much AvisC counts blind tokens against an answer: the paper's number for LLaVA-1.5."""


@dataclass(frozen=True)
class LvlmEntry:
    """A known vision-language model: where its weights are and what suits it.

    repo: the repository of the hub that holds them, None for a model that ships with the package. size_bytes: what a
    download weighs, about. revision: the commit that is used, None for its main branch as it stands when it is first
    downloaded. layers: the decoder layers whose attention is read, counted from 0; none: one at `relative_layer` of the
    depth. contrast: gain of the sigmoid; smoothing: side of the box filter in patches. avisc_alpha: how much AvisC
    counts blind tokens against an answer. aliases: names it answers to beside its own and its repository's.
    """

    name: str
    repo: str | None
    size_bytes: int
    licence: str
    note: str
    _: KW_ONLY
    revision: str | None = None
    layers: tuple[int, ...] = ()
    relative_layer: float = RELATIVE_LAYER
    contrast: float = 1.0
    smoothing: int = 3
    avisc_alpha: float = AVISC_ALPHA
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that it answers to."""
        repository = () if self.repo is None else (self.repo.rpartition("/")[2],)
        return (self.name, *repository, *self.aliases)


EMBEDDED_LVLM = "tiny-lvlm"

# Layer 20 of the LLaVA-1.5 entries is the published package's own default, for both of its sizes.
LVLM_MODELS: tuple[LvlmEntry, ...] = (
    LvlmEntry(
        EMBEDDED_LVLM,
        None,
        4_322_000,
        "MIT",
        "Ships with the pack. Knows drawn shapes and colours only: for trying out and for tests.",
        layers=(1,),
    ),
    LvlmEntry(
        "llava-1.5-7b",
        "llava-hf/llava-1.5-7b-hf",
        14_126_000_000,
        "Llama 2 community",
        "The paper's smaller model: 24 x 24 tokens on the centre of the picture.",
        layers=(20,),
        contrast=PUBLISHED_CONTRAST,
        aliases=("llava-v1.5-7b", "liuhaotian/llava-v1.5-7b"),
    ),
    LvlmEntry(
        "llava-1.5-13b",
        "llava-hf/llava-1.5-13b-hf",
        26_699_000_000,
        "Llama 2 community",
        "The paper's model: 24 x 24 tokens on the centre of the picture.",
        layers=(20,),
        contrast=PUBLISHED_CONTRAST,
        aliases=("llava-v1.5-13b", "liuhaotian/llava-v1.5-13b"),
    ),
    LvlmEntry(
        "llava-v1.6-mistral-7b",
        "llava-hf/llava-v1.6-mistral-7b-hf",
        15_133_000_000,
        "Apache-2.0",
        "LLaVA-NeXT: the whole picture, and tiles of it.",
        aliases=("llava-next-mistral-7b",),
    ),
    LvlmEntry(
        "llava-v1.6-vicuna-7b",
        "llava-hf/llava-v1.6-vicuna-7b-hf",
        14_126_000_000,
        "Llama 2 community",
        "LLaVA-NeXT on LLaVA-1.5's language model.",
        aliases=("llava-next-vicuna-7b",),
    ),
    LvlmEntry(
        "llava-onevision-0.5b",
        "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        1_787_000_000,
        "Apache-2.0",
        "Small: for a machine without a GPU.",
    ),
    LvlmEntry(
        "llava-onevision-7b",
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        16_060_000_000,
        "Apache-2.0",
        "Several pictures, fine grids.",
    ),
    LvlmEntry(
        "Qwen2-VL-2B",
        "Qwen/Qwen2-VL-2B-Instruct",
        4_418_000_000,
        "Apache-2.0",
        "Keeps the picture's shape; set max_pixels for large pictures.",
    ),
    LvlmEntry(
        "Qwen2-VL-7B",
        "Qwen/Qwen2-VL-7B-Instruct",
        16_583_000_000,
        "Apache-2.0",
        "Keeps the picture's shape; set max_pixels for large pictures.",
    ),
    LvlmEntry(
        "Qwen2.5-VL-3B",
        "Qwen/Qwen2.5-VL-3B-Instruct",
        7_510_000_000,
        "Qwen research",
        "Not for commercial use. Keeps the picture's shape.",
    ),
    LvlmEntry(
        "Qwen2.5-VL-7B",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        16_584_000_000,
        "Apache-2.0",
        "Keeps the picture's shape; set max_pixels for large pictures.",
    ),
    LvlmEntry("Qwen3-VL-2B", "Qwen/Qwen3-VL-2B-Instruct", 4_255_000_000, "Apache-2.0", "A good choice for 8 GB."),
    LvlmEntry("Qwen3-VL-4B", "Qwen/Qwen3-VL-4B-Instruct", 8_876_000_000, "Apache-2.0", "A good choice for 12 GB."),
    LvlmEntry("Qwen3-VL-8B", "Qwen/Qwen3-VL-8B-Instruct", 17_534_000_000, "Apache-2.0", "A good choice for 24 GB."),
    LvlmEntry(
        "Qwen3.5-0.8B",
        "Qwen/Qwen3.5-0.8B",
        1_750_000_000,
        "Apache-2.0",
        "Small. Only every fourth layer has attention that can be read.",
    ),
    LvlmEntry(
        "Qwen3.5-2B",
        "Qwen/Qwen3.5-2B",
        4_550_000_000,
        "Apache-2.0",
        "Only every fourth layer has attention that can be read.",
    ),
    LvlmEntry(
        "Qwen3.5-4B",
        "Qwen/Qwen3.5-4B",
        9_300_000_000,
        "Apache-2.0",
        "Only every fourth layer has attention that can be read.",
    ),
    LvlmEntry(
        "InternVL3-1B",
        "OpenGVLab/InternVL3-1B-hf",
        1_877_000_000,
        "Apache-2.0, Qwen's for the language model",
        "Small: tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "InternVL3-8B",
        "OpenGVLab/InternVL3-8B-hf",
        15_889_000_000,
        "Apache-2.0, Qwen's for the language model",
        "Tiles of 16 x 16 tokens.",
    ),
    LvlmEntry(
        "InternVL3.5-1B", "OpenGVLab/InternVL3_5-1B-HF", 2_122_000_000, "Apache-2.0", "Small: tiles of 16 x 16 tokens."
    ),
    LvlmEntry("InternVL3.5-2B", "OpenGVLab/InternVL3_5-2B-HF", 4_697_000_000, "Apache-2.0", "Tiles of 16 x 16 tokens."),
    LvlmEntry("InternVL3.5-4B", "OpenGVLab/InternVL3_5-4B-HF", 9_464_000_000, "Apache-2.0", "Tiles of 16 x 16 tokens."),
    LvlmEntry(
        "InternVL3.5-8B", "OpenGVLab/InternVL3_5-8B-HF", 17_056_000_000, "Apache-2.0", "Tiles of 16 x 16 tokens."
    ),
    LvlmEntry(
        "gemma-3-4b",
        "google/gemma-3-4b-it",
        8_600_000_000,
        "Gemma; accept it on the hub first",
        "16 x 16 tokens, whatever the picture's size.",
    ),
    LvlmEntry(
        "gemma-3-12b",
        "google/gemma-3-12b-it",
        24_375_000_000,
        "Gemma; accept it on the hub first",
        "16 x 16 tokens, whatever the picture's size.",
    ),
    LvlmEntry("gemma-4-E2B", "google/gemma-4-E2B-it", 10_250_000_000, "Apache-2.0", "Sees many sizes of picture."),
    LvlmEntry("gemma-4-E4B", "google/gemma-4-E4B-it", 15_990_000_000, "Apache-2.0", "Sees many sizes of picture."),
    LvlmEntry(
        "SmolVLM2-256M",
        "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        1_026_000_000,
        "Apache-2.0",
        "The smallest: answers on any machine. Stored as float32.",
    ),
    LvlmEntry(
        "SmolVLM2-500M",
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        2_030_000_000,
        "Apache-2.0",
        "Small: for a machine without a GPU. Stored as float32.",
    ),
    LvlmEntry(
        "SmolVLM2-2.2B",
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        8_987_000_000,
        "Apache-2.0",
        "Tiles of 9 x 9 tokens. Stored as float32.",
    ),
    LvlmEntry(
        "paligemma2-3b-mix",
        "google/paligemma2-3b-mix-224",
        6_066_000_000,
        "Gemma; accept it on the hub first",
        "Answers in few words; no chat. 16 x 16 tokens.",
    ),
    LvlmEntry(
        "Mistral-Small-3.1-24B",
        "mistralai/Mistral-Small-3.1-24B-Instruct-2503",
        48_022_000_000,
        "Apache-2.0",
        "Large; keeps the picture's shape.",
    ),
    LvlmEntry(
        "deepseek-vl-1.3b",
        "deepseek-community/deepseek-vl-1.3b-chat",
        3_960_000_000,
        "DeepSeek model licence",
        "Small: 24 x 24 tokens.",
    ),
    LvlmEntry(
        "instructblip-vicuna-7b",
        "Salesforce/instructblip-vicuna-7b",
        31_600_000_000,
        "Llama 2 community, not for commercial use",
        "Answers only: its tokens have no place in the picture. Stored as float32.",
        avisc_alpha=3.0,
    ),
)


def list_lvlm_models() -> list[str]:
    """The names of the catalog, the embedded model first."""
    return [entry.name for entry in LVLM_MODELS]


def find_lvlm_model(name: str) -> LvlmEntry | None:
    """The entry of that name or alias, in any case; None for a name the catalog does not hold."""
    wanted = name.strip().casefold()
    for entry in LVLM_MODELS:
        if wanted in map(str.casefold, entry.names):
            return entry
    return None


def avisc_alpha(model_name: str, alpha: float | None = None) -> float:
    """AvisC's alpha: what is given, and for None what suits the model; the paper's for LLaVA-1.5 if it has no entry."""
    if alpha is not None:
        return alpha
    entry = find_lvlm_model(model_name)
    return AVISC_ALPHA if entry is None else entry.avisc_alpha
