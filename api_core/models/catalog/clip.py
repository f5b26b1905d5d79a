"""The CLIPs that are known by name."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from ...choices import Fit
from .entries import find_entry, read_entries

Source = Literal["embedded", "open_clip", "transformers"]

DEFAULT_FIT: Fit = "crops"
"""Overlapping squares, undistorted as models were trained: measured best at every aspect (tools/benchmarks)."""


THINGS = (
    "person", "dog", "cat", "bird", "horse", "fish", "flower", "tree", "car", "bicycle", "boat", "train", "house",
    "chair", "table", "lamp", "book", "cup", "bottle", "shoe", "hat", "clock", "phone", "guitar", "ball", "knife",
    "bread", "apple", "mountain", "window", "bridge", "umbrella",
)  # fmt: skip
"""What photographs show, one thing of each kind: what is asked for is compared with them (see `presence`)."""


@dataclass(frozen=True)
class ClipEntry:
    """A known CLIP: where its weights are and what suits it.

    name: of open_clip's, its architecture and the tag of its weights. source: the library that builds it; "embedded"
    models ship with the package. repo: the repository of the hub that holds its weights. size_bytes: what a download
    weighs, about (every parameter as float32). revision: the commit that is used, None for its main branch as it stands
    when it is first downloaded. layer: the block whose maps are read, negative from the end. contrast: gain of the
    sigmoid; smoothing: side of the box filter in patches. fit: how a picture that is not square is shown to it.
    quick_gelu: the weights were trained with it and mean nothing without. open_clip_name: of its architecture, where
    that is another. aliases: further names it answers to. things: that it knows, as THINGS.
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
    things: tuple[str, ...] = THINGS

    @property
    def names(self) -> tuple[str, ...]:
        """All that it answers to."""
        return (self.name, *self.aliases)

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

CLIP_MODELS = read_entries(ClipEntry, "clip_models.json")
"""Contrast 10 and smoothing 3 of OpenAI's are the defaults of the published package's `clip_api`, as is layer 22 of 24;
its ViT-B-32 has 12 blocks, where the same place (second to last) is layer 10."""


def list_clip_models() -> list[str]:
    """The names of the catalog, the embedded model first."""
    return [entry.name for entry in CLIP_MODELS]


def find_clip_model(name: str) -> ClipEntry | None:
    """The entry of that name or alias, in any case; None for a name the catalog does not hold."""
    return find_entry(CLIP_MODELS, name)


def things_known(model_name: str) -> tuple[str, ...]:
    """Short names of 32 things that a CLIP knows, and hardly any picture shows more than a few of."""
    entry = find_clip_model(model_name)
    return THINGS if entry is None else entry.things


def needs_quick_gelu(*names: str | None) -> bool:
    """Whether weights of these names (tag, repository, folder) are OpenAI's, which were all trained with QuickGELU."""
    return any("openai" in name.casefold() for name in names if name)
