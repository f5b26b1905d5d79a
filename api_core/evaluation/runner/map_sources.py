"""Where maps come from when many cases are prompted: a CLIP or an LVLM with its settings, as one callable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from torch import Tensor

from ...attribution import METHODS, LvlmHeatmap, clip_heatmap, lvlm_heatmap
from ...attribution.lvlm.heatmap import find_lvlm_method
from ...choices import Reading
from ...masks import MaskSettings
from ...models.clip import ClipModel
from ...models.lvlm.calibration import Head
from ...models.lvlm.model import LvlmModel
from ...models.server import ServerModel
from ...models.weight_digests import weight_digests
from ...overlay import FadeStyle, Style
from ...progress import Progress, ignore_progress
from ...results import Heatmap
from .controls import Change


class MapSource(Protocol):
    """Pictures [H, W, 3] and what each is asked for, one map per picture. settings: all that decides the maps."""

    @property
    def settings(self) -> dict[str, Any]: ...

    def __call__(self, pictures: Sequence[Tensor], queries: Sequence[str], on_progress: Progress, /) -> Heatmap: ...


@dataclass(frozen=True)
class ClipMaps:
    """Maps of a CLIP, by `clip_heatmap`; None stands for the model's own choice."""

    model: ClipModel
    method: str = "decomposition"
    layer: int | None = None
    reading: Reading = "precise"
    fit: str | None = None
    neutral_text: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {
            **_choices(self),
            "map_model": identity(self.model),
            "layer": METHODS[self.method].resolve_layer(self.model, self.layer),
        }

    def __call__(
        self, pictures: Sequence[Tensor], queries: Sequence[str], on_progress: Progress = ignore_progress
    ) -> Heatmap:
        return clip_heatmap(self.model, pictures, queries, **_choices(self), words=False, on_progress=on_progress)


@dataclass(frozen=True)
class LvlmMaps:
    """Maps of an LVLM, by `lvlm_heatmap`, of the answer it gives by itself; None stands for the model's own choice.

    system_prompt: what the model is told first. heads: of the method `few heads`, (layer, head) each; () for each
    question's own. batch_size: cases at once, which changes nothing in the maps.
    """

    model: LvlmModel
    method: str | None = None
    layers: tuple[int, ...] | None = None
    reading: Reading = "precise"
    max_new_tokens: int = 20
    batch_size: int | None = None
    heads: tuple[Head, ...] | None = None
    system_prompt: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        read = find_lvlm_method(self.method).what_is_read(self.model, self.layers, self.heads)
        own = {"map_model": identity(self.model), "layers": list(read.layers)}
        choices = {**_choices(self), **own, "heads": [list(head) for head in read.heads]}
        idle = [] if read.heads else ["heads"]
        idle += [] if self.system_prompt else ["system_prompt"]  # as before there was one
        for without_meaning in ("batch_size", *idle):
            del choices[without_meaning]
        return choices

    def __call__(
        self, pictures: Sequence[Tensor], queries: Sequence[str], on_progress: Progress = ignore_progress
    ) -> Heatmap:
        return self.attributed(pictures, queries, None, on_progress).heatmap

    def attributed(
        self,
        pictures: Sequence[Tensor],
        questions: Sequence[str],
        answers: Sequence[str] | None,
        on_progress: Progress = ignore_progress,
    ) -> LvlmHeatmap:
        """The maps of `answers` (None: of the model's own) and the replies they belong to."""
        return lvlm_heatmap(self.model, pictures, questions, answers=answers, **_choices(self), on_progress=on_progress)


def _choices(maps: ClipMaps | LvlmMaps) -> dict[str, Any]:
    """Everything but the model, as the heatmap's function takes it."""
    return {field.name: getattr(maps, field.name) for field in fields(maps) if field.name != "model"}


def identity(model: ClipModel | LvlmModel | ServerModel) -> str:
    """A model's name, and of one on this machine a digest of samples of its weights: two of one name may differ."""
    module = getattr(model, "module", None)
    if module is None:
        return model.name
    (digest,) = weight_digests(module, ("float32",)).values()
    return f"{model.name} {digest[:12]}"


@dataclass(frozen=True)
class Prompting:
    """How a picture is prompted: the map, its mask, how the mask is drawn, and which control stands in its place.

    seed: of the control's chance.
    """

    maps: MapSource
    mask: MaskSettings = field(default_factory=MaskSettings)
    style: Style = field(default_factory=FadeStyle)
    strength: float = 1.0
    control: Change = ""
    seed: int = 0
