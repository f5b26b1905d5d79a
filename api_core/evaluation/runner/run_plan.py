"""All that decides what is done with each case, as plain data: it can be handed to another process and built there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ...answering import Answer, Decoding, SurestAnswer, ask, ask_surest
from ...answering.surest import Way, require_confidence
from ...attribution import list_methods
from ...choices import RESIZES, Reading
from ...errors import InvalidInput
from ...masks import MASK_SETTINGS, MaskSettings
from ...models.catalog import EMBEDDED_CLIP, mask_defaults
from ...models.clip import ClipModel
from ...models.clip.load import load_clip
from ...models.lvlm.load import load_lvlm
from ...models.lvlm.model import LvlmModel
from ...models.server import ServerModel, connect
from ...overlay import Style
from ...progress import Progress, ignore_progress
from .controls import Change
from .map_sources import ClipMaps, LvlmMaps, Prompting, identity
from .prompt_and_ask import Answerer, AskCases, Further, Surest
from .ready_pictures import ReadyPictures
from .saving import Saving
from .work_plan import LoadedModels, whole_path

LANES = 8
"""Batches that are asked about side by side, of a server that answers many questions at once."""


@dataclass(frozen=True)
class RunPlan:
    """The models, by name, and how they are asked, read and drawn with.

    lvlm: what answers, None for nobody; server: or the profile of a server, and server_model, its model. at_once:
    questions under way together on a server, None for the usual. maps: `clip`, `lvlm` or None; map_model: None for
    tiny-clip, or for the model that answers. layers, method, reading, fit: as the map's function takes them. ready: a
    folder of prompted pictures instead of maps. control: what is drawn in the place of each mask. skip_above: keep the
    surer answer, asking no more above it. device, precision, max_pixels, resize, allow_download, folders: of loading.
    seed: of the chance in the answers and in a control, with each case's id.
    """

    decoding: Decoding
    mask: MaskSettings
    style: Style
    strength: float = 1.0
    lvlm: str | None = None
    server: str = ""
    server_model: str = ""
    at_once: int | None = None
    template: str = "plain"
    system_prompt: str = ""
    max_new_tokens: int = 128
    seed: int = 0
    plain: bool = True
    skip_above: float | None = None
    batch_size: int = 8
    maps: str | None = "clip"
    map_model: str | None = None
    method: str | None = None
    layers: tuple[int, ...] | None = None
    reading: Reading = "precise"
    fit: str | None = None
    ready: ReadyPictures | None = None
    control: Change = ""
    saving: Saving | None = None
    precision: str = "auto"
    device: str = "auto"
    max_pixels: int = 0
    resize: str = RESIZES[0]
    allow_download: bool = False
    folders: tuple[Path, ...] = ()

    @property
    def lanes(self) -> int:
        """How many batches are under way together: so many that even parts of `at_once` leave the least of it over."""
        if not (self.server and self.at_once):
            return 1
        count = self.at_once
        most = min(LANES, count)
        return max(range(most // 2 or 1, most + 1), key=lambda lanes: (count // lanes * lanes, lanes))

    @property
    def cases_at_once(self) -> int:
        """How many cases a batch has."""
        return self.at_once // self.lanes if self.server and self.at_once else self.batch_size

    def build(
        self, on_progress: Progress = ignore_progress, loaded: LoadedModels | None = None
    ) -> tuple[AskCases, dict[str, Any]]:
        """As every `WorkPlan`."""
        loaded = loaded or LoadedModels()
        model = self._answering(loaded, on_progress)
        maps = self._map_source(model, loaded, on_progress)
        surer = model is not None and self.skip_above is not None
        if isinstance(model, ServerModel) and surer:
            require_confidence(model)
        asked = {name: getattr(self, name) for name in ("template", "system_prompt", "max_new_tokens")}
        how = {"decoding": self.decoding, "batch_size": self.batch_size, **asked}
        work = AskCases(
            None if model is None or surer else answerer(model, **how),
            self.ready
            if maps is None
            else Prompting(maps, self.mask, self.style, self.strength, self.control, self.seed),
            plain=self.plain,
            saving=self.saving,
            surest=surest(model, skip_above=self.skip_above, **how) if model is not None and surer else None,
            seed=self.seed if model is not None and self.decoding.draws else None,
        )
        prompted = work.prompting is not None
        settings: dict[str, Any] = {"plain": self.plain or not prompted, "prompted": prompted}
        if model is not None:
            settings |= {"model": identity(model), **asked, "decoding": repr(self.decoding), "seed": self.seed}
        settings |= {"map": "ready pictures"} if self.ready else {} if maps is None else self._of_maps(maps)
        # What was made without these is of the same settings as before there were such choices.
        settings |= {"keep": "surer", "skip_above": self.skip_above} if self.skip_above is not None else {}
        settings |= {"seeds": "of the seed and each id"} if work.seed is not None else {}
        settings |= {"save_as": self.saving.kind} if self.saving and self.saving.kind != "png" else {}
        settings |= {"resize": self.resize} if self.resize != RESIZES[0] else {}
        return work, settings

    def everywhere(self) -> RunPlan:
        """As every `WorkPlan`."""
        saving, ready = self.saving, self.ready
        return replace(
            self,
            lvlm=self.lvlm and whole_path(self.lvlm),
            map_model=self.map_model and whole_path(self.map_model),
            saving=saving and replace(saving, folder=saving.folder.absolute()),
            ready=ready and replace(ready, folder=ready.folder.absolute()),
            folders=tuple(folder.absolute() for folder in self.folders),
        )

    def _answering(self, loaded: LoadedModels, on_progress: Progress) -> LvlmModel | ServerModel | None:
        if self.server:
            return connect(self.server, self.server_model, at_once=self.at_once and self.cases_at_once)
        return None if self.lvlm is None else self._lvlm(self.lvlm, loaded, on_progress)

    def _lvlm(self, name: str, loaded: LoadedModels, on_progress: Progress) -> LvlmModel:
        how = {**self._loading, "max_pixels": self.max_pixels, "resize": self.resize}
        model: LvlmModel = loaded.get(load_lvlm, name, how, on_progress)
        return model

    @property
    def _loading(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("precision", "device", "allow_download", "folders")}

    def _map_source(
        self, model: LvlmModel | ServerModel | None, loaded: LoadedModels, on_progress: Progress
    ) -> ClipMaps | LvlmMaps | None:
        if self.maps is None or self.ready is not None:
            return None
        if self.maps == "clip":
            layer = self.layers[0] if self.layers else None
            clip: ClipModel = loaded.get(load_clip, self.map_model or EMBEDDED_CLIP, self._loading, on_progress)
            clip.resolve_layer(layer)
            return ClipMaps(clip, self.method or list_methods()[0], layer, self.reading, self.fit)
        chosen = self._lvlm(self.map_model, loaded, on_progress) if self.map_model else model
        if not isinstance(chosen, LvlmModel):
            raise InvalidInput("--map lvlm needs a model on this machine: name it with --map-model, or say --map clip.")
        chosen.resolve_layers(self.layers)
        # The paper's program opens the prompt that it reads maps of as it opens those that it asks.
        told = self.system_prompt if self.reading == "upstream" else ""
        return LvlmMaps(chosen, self.method, self.layers, self.reading, system_prompt=told)

    def _of_maps(self, maps: ClipMaps | LvlmMaps) -> dict[str, Any]:
        made = self.mask.with_defaults(mask_defaults(maps.model.name))
        mask = {setting.name: getattr(made, setting.name) for setting in MASK_SETTINGS if setting.flag is not None}
        shown = {"style": repr(self.style), "mask": mask, "strength": self.strength}
        control = {"control": self.control, "seed": self.seed} if self.control else {}
        return {"map": self.maps, **maps.settings, **shown, **control}


def answerer(model: LvlmModel | ServerModel, **how: Any) -> Answerer:
    """What asks that model in the same way each time; how: the other arguments of `ask`."""

    def answer(
        pictures: Sequence[Tensor],
        questions: Sequence[str],
        on_progress: Progress,
        more: Further = (),
        /,
        *,
        seeds: Sequence[int] | None = None,
    ) -> list[Answer]:
        return ask(model, pictures, questions, more_pictures=more, seeds=seeds, on_progress=on_progress, **how)

    return answer


def surest(model: LvlmModel | ServerModel, **how: Any) -> Surest:
    """What asks that model about plain and prompted pictures in the same way each time, and keeps the surer answer."""

    def answer(
        pictures: Sequence[Tensor],
        ways: Sequence[Way],
        questions: Sequence[str],
        on_progress: Progress,
        more: Further = (),
        /,
    ) -> list[SurestAnswer]:
        return ask_surest(model, pictures, ways, questions, more_pictures=more, on_progress=on_progress, **how)

    return answer
