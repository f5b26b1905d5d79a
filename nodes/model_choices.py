"""The models that a workflow may name, and the sharing of those in memory; one of these for each kind of model.

A workflow file is not trusted: it chooses a name from `names()`, never a path or a repository, and the name is looked
up again when the node runs, because values that arrive over a link were not checked against the list.
"""

import json
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from comfy_api.latest import io

from ..api_core.choices import PRECISIONS
from ..api_core.errors import InvalidInput, quoted
from ..api_core.models.catalog import ClipEntry, LvlmEntry
from ..api_core.progress import Progress
from . import host, widgets

Held = TypeVar("Held")

FOLDER_DEPTH = 2  # models/LLM/<maker>/<model>


@dataclass(frozen=True)
class ModelChoices(Generic[Held]):
    """One kind of model.

    node: the loader's name and home: the folder for own models, as messages say them. embedded: the model that ships
    with the pack. catalog: the names that the library knows. find: what the library calls a name, None for an unknown
    one. is_model: whether a folder holds a model of this kind. load: what the library builds one with. socket: what
    travels on the socket.
    """

    node: str
    home: str
    embedded: str
    catalog: Callable[[], list[str]]
    find: Callable[[str], ClipEntry | LvlmEntry | None]
    is_model: Callable[[Path], bool]
    load: Callable[..., Any]
    socket: Callable[[Any, Any], Held]
    # Weak values: a model lives as long as ComfyUI's node cache or a running node holds it, and not longer.
    _held: weakref.WeakValueDictionary[Hashable, Held] = field(default_factory=weakref.WeakValueDictionary)

    def input(self, for_photographs: str) -> io.Input:
        """The widget that a workflow chooses by."""
        return io.Combo.Input(
            "model",
            options=self.names(),
            default=self.embedded,
            tooltip=f"{self.embedded} ships with the pack and knows drawn shapes only. For photographs choose "
            f"{for_photographs}. Models in your model folders are listed last.",
        )

    def names(self) -> list[str]:
        """Embedded models first, then the catalog, then what lies in the model folders as "kind/name"."""
        known = [name for name in self.catalog() if name != self.embedded]
        return [self.embedded, *known, *self.local_models()]

    def local_models(self) -> dict[str, Path]:
        """Models of this kind in ComfyUI's model folders, by the name a workflow gives them."""
        found: dict[str, Path] = {}
        for kind, folders in host.model_folders().items():
            for folder in folders:
                for path in sorted(self._models_in(folder, FOLDER_DEPTH)):
                    found.setdefault(f"{kind}/{path.relative_to(folder).as_posix()}", path)
        return found

    def resolve_name(self, name: str) -> str | Path:
        """What the library is given for a name from the list; any other name is refused."""
        known = self.find(name)
        if known is not None:
            return known.name
        path = self.local_models().get(name)
        if path is None:
            raise InvalidInput(
                f"There is no model {quoted(name)} here. Choose one from the list of the {self.node} node; to add your "
                f"own, put its folder into ComfyUI's {self.home} and refresh the page."
            )
        return path

    def fingerprint(self, name: str) -> str:
        """Changes when the files behind a name do."""
        source = self.resolve_name(name)
        if isinstance(source, str):
            return source
        files = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(source.iterdir()) if f.is_file()]
        return json.dumps([str(source), files])

    def get_or_load(
        self, name: str, settings: Mapping[str, Hashable], allow_download: bool, on_progress: Progress
    ) -> Held:
        """The model of that name with those settings, from memory if any node still holds it."""
        source = self.resolve_name(name)

        def load() -> Any:
            host.apply_download_rule()
            return self.load(
                source,
                **settings,
                device=host.offload_device(),
                allow_download=allow_download,
                folders=host.all_model_folders(),
                on_progress=on_progress,
            )

        key = (self.fingerprint(name), *settings.values())
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = host.hold(load, self.socket)
        return held

    def _models_in(self, folder: Path, depth: int) -> Iterator[Path]:
        try:
            children = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
        except OSError:
            return
        for child in children:
            if self.is_model(child):
                yield child
            elif depth > 1:
                yield from self._models_in(child, depth - 1)


def precision_input(auto: str) -> io.Input:
    """The widget for how weights are kept. auto: what that means."""
    return widgets.choice("precision", PRECISIONS, f"How weights are kept. auto: {auto}", advanced=True)


def download_input() -> io.Input:
    """The switch that lets a loader fetch a model."""
    return io.Boolean.Input(
        "allow_download",
        default=False,
        tooltip="Lets this node fetch the model from the Hugging Face hub when it is not on this machine. "
        f"The environment variable {host.NO_DOWNLOADS}=1 forbids it for good.",
    )


def require_precision(precision: str) -> None:
    """Raise InvalidInput for a precision that no loader offers; over a link any text can arrive."""
    if precision not in PRECISIONS:
        raise InvalidInput(f"The precision must be one of {', '.join(PRECISIONS)}, not {quoted(precision)}.")


def read_configuration(folder: Path) -> dict[str, Any]:
    """The `config.json` of a folder in transformers' layout; empty where there is none."""
    try:
        configuration = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return configuration if isinstance(configuration, dict) else {}
