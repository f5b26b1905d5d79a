"""The CLIPs that are known by name."""

from dataclasses import dataclass
from typing import Literal

from ...choices import Fit

Source = Literal["embedded", "open_clip", "transformers"]

DEFAULT_FIT: Fit = "crops"
"""Overlapping squares, undistorted as models were trained: measured best at every aspect (tools/benchmarks)."""


@dataclass(frozen=True)
class ClipEntry:
    """A known CLIP: where its weights are and what suits it.

    source: the library that builds it; "embedded" models ship with the package. architecture: open_clip's name of it.
    pretrained: open_clip's tag of the weights. repo: the repository of the hub that holds them, revision: the commit of
    it that is used, None for its main branch as it stands when it is first downloaded. layer: the block whose maps are
    read, negative from the end. contrast: gain of the sigmoid; smoothing: side of the box filter in patches. fit: how a
    picture that is not square is shown to it. size_bytes: what a download weighs, about (every parameter as float32).
    quick_gelu: the weights were trained with it and mean nothing without. aliases: further names it answers to.
    """

    name: str
    source: Source
    architecture: str
    repo: str | None
    pretrained: str | None = None
    revision: str | None = None
    layer: int = -2
    contrast: float = 1.0
    smoothing: int = 3
    fit: Fit = DEFAULT_FIT
    size_bytes: int = 0
    licence: str = ""
    note: str = ""
    quick_gelu: bool = False
    aliases: tuple[str, ...] = ()


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
        "tiny-clip",
        repo=None,
        licence="MIT",
        size_bytes=2_466_140,
        note="Ships with the pack. Knows drawn shapes and colours only: for trying out and for tests.",
    ),
    ClipEntry(
        "ViT-L-14-336/openai",
        "open_clip",
        "ViT-L-14-336",
        repo="timm/vit_large_patch14_clip_336.openai",
        pretrained="openai",
        layer=22,
        contrast=10.0,
        size_bytes=1_711_776_772,
        licence="MIT",
        note="The paper's model, and its best: 24 x 24 patches. For photographs.",
        quick_gelu=True,
        aliases=("ViT-L-14-336",),
    ),
    ClipEntry(
        "ViT-L-14/openai",
        "open_clip",
        "ViT-L-14",
        repo="timm/vit_large_patch14_clip_224.openai",
        pretrained="openai",
        layer=22,
        contrast=10.0,
        size_bytes=1_710_466_052,
        licence="MIT",
        note="The paper's model at 224 pixels: 16 x 16 patches.",
        quick_gelu=True,
        aliases=("ViT-L-14",),
    ),
    ClipEntry(
        "ViT-B-32/openai",
        "open_clip",
        "ViT-B-32",
        repo="timm/vit_base_patch32_clip_224.openai",
        pretrained="openai",
        layer=10,
        contrast=10.0,
        size_bytes=605_109_252,
        licence="MIT",
        note="The paper's small model: quick, coarse (7 x 7 patches).",
        quick_gelu=True,
        aliases=("ViT-B-32",),
    ),
    ClipEntry(
        "ViT-B-16/openai",
        "open_clip",
        "ViT-B-16",
        repo="timm/vit_base_patch16_clip_224.openai",
        pretrained="openai",
        size_bytes=598_482_948,
        licence="MIT",
        note="A good choice without a GPU: 14 x 14 patches.",
        quick_gelu=True,
        aliases=("ViT-B-16",),
    ),
    ClipEntry(
        "ViT-B-16/datacomp_xl_s13b_b90k",
        "open_clip",
        "ViT-B-16",
        repo="laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        pretrained="datacomp_xl_s13b_b90k",
        size_bytes=598_482_948,
        licence="MIT",
        note="As ViT-B-16/openai, trained on cleaner data.",
    ),
    ClipEntry(
        "ViT-L-14/datacomp_xl_s13b_b90k",
        "open_clip",
        "ViT-L-14",
        repo="laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        pretrained="datacomp_xl_s13b_b90k",
        size_bytes=1_710_466_052,
        licence="MIT",
        note="Better zero-shot than ViT-L-14/openai.",
    ),
    ClipEntry(
        "ViT-L-14/dfn2b_s39b",
        "open_clip",
        "ViT-L-14",
        repo="apple/DFN2B-CLIP-ViT-L-14-39B",
        pretrained="dfn2b_s39b",
        size_bytes=1_710_466_052,
        licence="Apple, see the repository",
        note="Better zero-shot than ViT-L-14/openai. If its maker offers pickles only, fetch its folder by hand.",
    ),
    ClipEntry(
        "ViT-H-14/laion2b_s32b_b79k",
        "open_clip",
        "ViT-H-14",
        repo="laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        pretrained="laion2b_s32b_b79k",
        size_bytes=3_944_437_764,
        licence="MIT",
        note="Large: 16 x 16 patches.",
    ),
    ClipEntry(
        "ViT-H-14-378/dfn5b",
        "open_clip",
        "ViT-H-14-378-quickgelu",
        repo="apple/DFN5B-CLIP-ViT-H-14-378",
        pretrained="dfn5b",
        size_bytes=3_946_859_524,
        licence="Apple, see the repository",
        note="Large, fine: 27 x 27 patches. If its maker offers pickles only, fetch its folder by hand.",
        quick_gelu=True,
    ),
    ClipEntry(
        "ViT-B-16-SigLIP2-256/webli",
        "open_clip",
        "ViT-B-16-SigLIP2-256",
        repo="timm/ViT-B-16-SigLIP2-256",
        pretrained="webli",
        size_bytes=1_500_936_200,
        licence="Apache-2.0",
        note="Many languages: 16 x 16 patches.",
    ),
    ClipEntry(
        "ViT-B-16-SigLIP2-512/webli",
        "open_clip",
        "ViT-B-16-SigLIP2-512",
        repo="timm/ViT-B-16-SigLIP2-512",
        pretrained="webli",
        size_bytes=1_503_295_496,
        licence="Apache-2.0",
        note="Many languages, fine: 32 x 32 patches.",
    ),
    ClipEntry(
        "ViT-L-16-SigLIP2-384/webli",
        "open_clip",
        "ViT-L-16-SigLIP2-384",
        repo="timm/ViT-L-16-SigLIP2-384",
        pretrained="webli",
        size_bytes=3_527_417_864,
        licence="Apache-2.0",
        note="Many languages, large: 24 x 24 patches.",
    ),
    ClipEntry(
        "ViT-SO400M-14-SigLIP2-378/webli",
        "open_clip",
        "ViT-SO400M-14-SigLIP2-378",
        repo="timm/ViT-SO400M-14-SigLIP2-378",
        pretrained="webli",
        size_bytes=4_544_033_992,
        licence="Apache-2.0",
        note="Many languages, large: 27 x 27 patches.",
    ),
    ClipEntry(
        "ViT-SO400M-16-SigLIP2-512/webli",
        "open_clip",
        "ViT-SO400M-16-SigLIP2-512",
        repo="timm/ViT-SO400M-16-SigLIP2-512",
        pretrained="webli",
        size_bytes=4_546_222_792,
        licence="Apache-2.0",
        note="Many languages, large and fine: 32 x 32 patches.",
    ),
    ClipEntry(
        "MobileCLIP2-B/dfndr2b",
        "open_clip",
        "MobileCLIP2-B",
        repo="timm/MobileCLIP2-B-OpenCLIP",
        pretrained="dfndr2b",
        size_bytes=599_108_612,
        licence="Apple, see the repository",
        note="Quick: 14 x 14 patches.",
    ),
    ClipEntry(
        "MobileCLIP2-L-14/dfndr2b",
        "open_clip",
        "MobileCLIP2-L-14",
        repo="timm/MobileCLIP2-L-14-OpenCLIP",
        pretrained="dfndr2b",
        size_bytes=1_710_469_124,
        licence="Apple, see the repository",
        note="16 x 16 patches.",
    ),
    ClipEntry(
        "PE-Core-B-16/meta",
        "open_clip",
        "PE-Core-B-16",
        repo="timm/PE-Core-B-16",
        pretrained="meta",
        size_bytes=1_790_642_180,
        licence="Apache-2.0",
        note="14 x 14 patches.",
    ),
    ClipEntry(
        "PE-Core-L-14-336/meta",
        "open_clip",
        "PE-Core-L-14-336",
        repo="timm/PE-Core-L-14-336",
        pretrained="meta",
        size_bytes=2_684_555_268,
        licence="Apache-2.0",
        note="24 x 24 patches.",
    ),
    ClipEntry(
        "EVA02-L-14-336/merged2b_s6b_b61k",
        "open_clip",
        "EVA02-L-14-336",
        repo="timm/eva02_large_patch14_clip_336.merged2b_s6b_b61k",
        pretrained="merged2b_s6b_b61k",
        size_bytes=1_712_332_548,
        licence="MIT",
        note="24 x 24 patches.",
    ),
    ClipEntry(
        "clip-vit-large-patch14",
        "transformers",
        "CLIPModel",
        repo="openai/clip-vit-large-patch14",
        layer=22,
        contrast=10.0,
        size_bytes=1_710_540_580,
        licence="MIT",
        note="ViT-L-14/openai for a machine without open_clip.",
        quick_gelu=True,
    ),
    ClipEntry(
        "siglip2-so400m-patch14-384",
        "transformers",
        "SiglipModel",
        repo="google/siglip2-so400m-patch14-384",
        size_bytes=4_544_037_664,
        licence="Apache-2.0",
        note="SigLIP2 for a machine without open_clip: 27 x 27 patches.",
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
