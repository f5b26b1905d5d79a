"""The vision-language models that are known by name."""

from dataclasses import KW_ONLY, dataclass

from .entries import find_entry, read_entries

RELATIVE_LAYER = 0.55
"""Which layer is read where an entry names none, as a share of the depth: the paper's layer is 20 of 40, and of 32."""

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

LVLM_MODELS = read_entries(LvlmEntry, "lvlm_models.json")
"""Layer 20 and contrast 10 of the LLaVA-1.5 entries are the published package's own defaults, for both of its sizes."""


def list_lvlm_models() -> list[str]:
    """The names of the catalog, the embedded model first."""
    return [entry.name for entry in LVLM_MODELS]


def find_lvlm_model(name: str) -> LvlmEntry | None:
    """The entry of that name or alias, in any case; None for a name the catalog does not hold."""
    return find_entry(LVLM_MODELS, name)


def avisc_alpha(model_name: str, alpha: float | None = None) -> float:
    """AvisC's alpha: what is given, and for None what suits the model; the paper's for LLaVA-1.5 if it has no entry."""
    if alpha is not None:
        return alpha
    entry = find_lvlm_model(model_name)
    return AVISC_ALPHA if entry is None else entry.avisc_alpha
