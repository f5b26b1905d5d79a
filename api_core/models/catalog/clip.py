"""The CLIPs that are known by name."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from ...choices import Fit

Source = Literal["embedded", "open_clip", "transformers"]

DEFAULT_FIT: Fit = "crops"
"""Overlapping squares, undistorted as models were trained: measured best at every aspect (tools/benchmarks)."""


@dataclass(frozen=True)
class ClipEntry:
    """A known CLIP: where its weights are and what suits it.

    name: of open_clip's, its architecture and the tag of its weights. source: the library that builds it; "embedded"
    models ship with the package. repo: the repository of the hub that holds its weights. size_bytes: what a download
    weighs, about (every parameter as float32). revision: the commit that is used, None for its main branch as it stands
    when it is first downloaded. layer: the block whose maps are read, negative from the end. contrast: gain of the
    sigmoid; smoothing: side of the box filter in patches. fit: how a picture that is not square is shown to it.
    quick_gelu: the weights were trained with it and mean nothing without. open_clip_name: of its architecture, where
    that is another. aliases: further names it answers to.
    """

    name: str
    source: Source
    repo: str | None
    size_bytes: int
    licence: str
    note: str
    _: KW_ONLY
    revision: str | None = None
    layer: int = -2
    contrast: float = 1.0
    smoothing: int = 3
    fit: Fit = DEFAULT_FIT
    quick_gelu: bool = False
    open_clip_name: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def architecture(self) -> str:
        """open_clip's name of the architecture."""
        return self.open_clip_name or self.name.partition("/")[0]

    @property
    def pretrained(self) -> str | None:
        """open_clip's tag of the weights; None for models of other libraries."""
        return self.name.partition("/")[2] or None


EMBEDDED_CLIP = "tiny-clip"

TRANSFORMERS_CLASSES = {
    "clip": "CLIPModel",
    "metaclip_2": "MetaClip2Model",
    "siglip": "SiglipModel",
    "siglip2": "Siglip2Model",
}
"""`model_type` of a transformers configuration -> the class that is built; folders of other kinds are no CLIP."""

# Contrast 10 and smoothing 3 of the first three are the defaults of the published package's `clip_api`, as is layer 22
# of 24; its ViT-B-32 has 12 blocks, where the same place (second to last) is layer 10.
CLIP_MODELS: tuple[ClipEntry, ...] = (
    ClipEntry(
        EMBEDDED_CLIP,
        "embedded",
        None,
        2_466_140,
        "MIT",
        "Ships with the pack. Knows drawn shapes and colours only: for trying out and for tests.",
    ),
    ClipEntry(
        "ViT-L-14-336/openai",
        "open_clip",
        "timm/vit_large_patch14_clip_336.openai",
        1_711_776_772,
        "MIT",
        "The paper's model, and its best: 24 x 24 patches. For photographs.",
        layer=22,
        contrast=10.0,
        quick_gelu=True,
        aliases=("ViT-L-14-336",),
    ),
    ClipEntry(
        "ViT-L-14/openai",
        "open_clip",
        "timm/vit_large_patch14_clip_224.openai",
        1_710_466_052,
        "MIT",
        "The paper's model at 224 pixels: 16 x 16 patches.",
        layer=22,
        contrast=10.0,
        quick_gelu=True,
        aliases=("ViT-L-14",),
    ),
    ClipEntry(
        "ViT-B-32/openai",
        "open_clip",
        "timm/vit_base_patch32_clip_224.openai",
        605_109_252,
        "MIT",
        "The paper's small model: quick, coarse (7 x 7 patches).",
        layer=10,
        contrast=10.0,
        quick_gelu=True,
        aliases=("ViT-B-32",),
    ),
    ClipEntry(
        "ViT-B-16/openai",
        "open_clip",
        "timm/vit_base_patch16_clip_224.openai",
        598_482_948,
        "MIT",
        "A good choice without a GPU: 14 x 14 patches.",
        quick_gelu=True,
        aliases=("ViT-B-16",),
    ),
    ClipEntry(
        "ViT-B-16/datacomp_xl_s13b_b90k",
        "open_clip",
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        598_482_948,
        "MIT",
        "As ViT-B-16/openai, trained on cleaner data.",
    ),
    ClipEntry(
        "ViT-L-14/datacomp_xl_s13b_b90k",
        "open_clip",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        1_710_466_052,
        "MIT",
        "Better zero-shot than ViT-L-14/openai.",
    ),
    ClipEntry(
        "ViT-L-14/dfn2b_s39b",
        "open_clip",
        "apple/DFN2B-CLIP-ViT-L-14-39B",
        1_710_466_052,
        "Apple, see the repository",
        "Better zero-shot than ViT-L-14/openai. If its maker offers pickles only, fetch its folder by hand.",
    ),
    ClipEntry(
        "ViT-H-14/laion2b_s32b_b79k",
        "open_clip",
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        3_944_437_764,
        "MIT",
        "Large: 16 x 16 patches.",
    ),
    ClipEntry(
        "ViT-H-14-378/dfn5b",
        "open_clip",
        "apple/DFN5B-CLIP-ViT-H-14-378",
        3_946_859_524,
        "Apple, see the repository",
        "Large, fine: 27 x 27 patches. If its maker offers pickles only, fetch its folder by hand.",
        quick_gelu=True,
        open_clip_name="ViT-H-14-378-quickgelu",
    ),
    ClipEntry(
        "ViT-B-16-SigLIP2-256/webli",
        "open_clip",
        "timm/ViT-B-16-SigLIP2-256",
        1_500_936_200,
        "Apache-2.0",
        "Many languages: 16 x 16 patches.",
    ),
    ClipEntry(
        "ViT-B-16-SigLIP2-512/webli",
        "open_clip",
        "timm/ViT-B-16-SigLIP2-512",
        1_503_295_496,
        "Apache-2.0",
        "Many languages, fine: 32 x 32 patches.",
    ),
    ClipEntry(
        "ViT-L-16-SigLIP2-384/webli",
        "open_clip",
        "timm/ViT-L-16-SigLIP2-384",
        3_527_417_864,
        "Apache-2.0",
        "Many languages, large: 24 x 24 patches.",
    ),
    ClipEntry(
        "ViT-SO400M-14-SigLIP2-378/webli",
        "open_clip",
        "timm/ViT-SO400M-14-SigLIP2-378",
        4_544_033_992,
        "Apache-2.0",
        "Many languages, large: 27 x 27 patches.",
    ),
    ClipEntry(
        "ViT-SO400M-16-SigLIP2-512/webli",
        "open_clip",
        "timm/ViT-SO400M-16-SigLIP2-512",
        4_546_222_792,
        "Apache-2.0",
        "Many languages, large and fine: 32 x 32 patches.",
    ),
    ClipEntry(
        "MobileCLIP2-B/dfndr2b",
        "open_clip",
        "timm/MobileCLIP2-B-OpenCLIP",
        599_108_612,
        "Apple, see the repository",
        "Quick: 14 x 14 patches.",
    ),
    ClipEntry(
        "MobileCLIP2-L-14/dfndr2b",
        "open_clip",
        "timm/MobileCLIP2-L-14-OpenCLIP",
        1_710_469_124,
        "Apple, see the repository",
        "16 x 16 patches.",
    ),
    ClipEntry("PE-Core-B-16/meta", "open_clip", "timm/PE-Core-B-16", 1_790_642_180, "Apache-2.0", "14 x 14 patches."),
    ClipEntry(
        "PE-Core-L-14-336/meta", "open_clip", "timm/PE-Core-L-14-336", 2_684_555_268, "Apache-2.0", "24 x 24 patches."
    ),
    ClipEntry(
        "EVA02-L-14-336/merged2b_s6b_b61k",
        "open_clip",
        "timm/eva02_large_patch14_clip_336.merged2b_s6b_b61k",
        1_712_332_548,
        "MIT",
        "24 x 24 patches.",
    ),
    ClipEntry(
        "clip-vit-large-patch14",
        "transformers",
        "openai/clip-vit-large-patch14",
        1_710_540_580,
        "MIT",
        "ViT-L-14/openai for a machine without open_clip.",
        layer=22,
        contrast=10.0,
        quick_gelu=True,
    ),
    ClipEntry(
        "siglip2-so400m-patch14-384",
        "transformers",
        "google/siglip2-so400m-patch14-384",
        4_544_037_664,
        "Apache-2.0",
        "SigLIP2 for a machine without open_clip: 27 x 27 patches.",
    ),
)


def list_clip_models() -> list[str]:
    """The names of the catalog, the embedded model first."""
    return [entry.name for entry in CLIP_MODELS]


def find_clip_model(name: str) -> ClipEntry | None:
    """The entry of that name or alias, in any case; None for a name the catalog does not hold."""
    wanted = name.strip().casefold()
    for entry in CLIP_MODELS:
        if wanted in (entry.name.casefold(), *(alias.casefold() for alias in entry.aliases)):
            return entry
    return None


def needs_quick_gelu(*names: str | None) -> bool:
    """Whether weights of these names (tag, repository, folder) are OpenAI's, which were all trained with QuickGELU."""
    return any("openai" in name.casefold() for name in names if name)
