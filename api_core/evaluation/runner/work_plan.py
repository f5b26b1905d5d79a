"""What every way of working through cases takes: a plan, which loads its models where the work is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ...progress import Progress, ignore_progress
from .run_cases import Work
from .saving import Saving


class LoadedModels:
    """The CLIP and the LVLM that were loaded last: plans of one model that are built in turn load it once."""

    def __init__(self) -> None:
        self._kept: dict[Callable[..., Any], tuple[tuple[str, dict[str, Any]], Any]] = {}

    def get(self, load: Callable[..., Any], name: str, how: dict[str, Any], on_progress: Progress) -> Any:
        """What `load` gives for these arguments; another model that it gave before is let go first."""
        kept, model = self._kept.get(load, (None, None))
        if kept != (name, how):
            self._kept.pop(load, None)
            model = None
            model = load(name, on_progress=on_progress, **how)
            self._kept[load] = ((name, how), model)
        return model


class WorkPlan(Protocol):
    """Plain data that can be handed to another process. device: of its models. saving: what it writes beside results.

    lanes, cases_at_once: how many batches are under way together here, and how many cases a batch has.
    """

    @property
    def device(self) -> str: ...

    @property
    def saving(self) -> Saving | None: ...

    @property
    def lanes(self) -> int: ...

    @property
    def cases_at_once(self) -> int: ...

    def build(
        self, on_progress: Progress = ignore_progress, loaded: LoadedModels | None = None
    ) -> tuple[Work, Mapping[str, Any]]:
        """Load the models: the work, and the settings that decide its results. on_progress: of what is downloaded.

        loaded: the models of plans that were built before, which are taken where they are the same.
        """
        ...

    def everywhere(self) -> WorkPlan:
        """The plan with the whole paths of its files and folders: another process has another folder."""
        ...


def whole_path(name: str) -> str:
    """What a model is called, with its whole path where it is a file or folder here."""
    return str(Path(name).absolute()) if name and Path(name).exists() else name
