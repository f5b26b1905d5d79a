"""Where a model's files lie on this machine: in the package, in the model folders of a host, in the hub's cache."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DamagedWeights, ModelNotFound, quoted
from ..catalog import ClipEntry, LvlmEntry

EMBEDDED = Path(__file__).resolve().parents[2] / "embedded"
SAFE_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.jinja", "*.model")


@dataclass(frozen=True)
class HubFiles:
    """A model's files on the hub: `patterns` of file names in `repo` at `revision` (None: its main branch)."""

    name: str
    repo: str
    revision: str | None = None
    patterns: tuple[str, ...] = SAFE_PATTERNS
    size_bytes: int = 0

    @classmethod
    def of(cls, entry: ClipEntry | LvlmEntry, patterns: tuple[str, ...]) -> "HubFiles":
        """Those of an entry of the catalog, of which there is a repository."""
        return cls(entry.name, str(entry.repo), entry.revision, patterns, entry.size_bytes)


def existing_path(model: str | Path, what: str, catalog: Sequence[str]) -> Path:
    """The path that a caller names a model by; ModelNotFound says what is not there, and what the catalog holds."""
    path = Path(model).expanduser()
    if not os.path.exists(path):  # false, where Path.exists raises, for what cannot be a path
        raise ModelNotFound(
            f"There is no model {quoted(str(model), 200)}: no {what} of that name, nor is it in the catalog. "
            f"The catalog holds: {', '.join(catalog)}."
        )
    return path.resolve()


def embedded_folder(name: str, is_complete: Callable[[Path], bool]) -> Path:
    """The folder of a model that ships with the package."""
    folder = EMBEDDED / name.replace("-", "_")
    if not is_complete(folder):
        raise ModelNotFound(f"The embedded model {quoted(name)} is missing from {folder}. Install the pack again.")
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """The table in a JSON file; DamagedWeights for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DamagedWeights(f"{path} cannot be read ({error}). Get the file again.") from error
    if not isinstance(content, dict):
        raise DamagedWeights(f"{path} is no configuration: it holds a {type(content).__name__}. Get the file again.")
    return content


def find_in_folders(model: HubFiles, folders: Sequence[Path], is_complete: Callable[[Path], bool]) -> Path | None:
    """The model's own folder in one of the model folders, under the repository's name or the catalog's."""
    organisation, _, short = model.repo.rpartition("/")
    names = (short, f"{organisation}/{short}", f"{organisation}--{short}", model.name.replace("/", "-"))
    for folder in folders:
        for name in names:
            candidate = Path(folder) / name
            if candidate.is_dir() and is_complete(candidate):
                return candidate
    return None


def find_in_cache(model: HubFiles, is_complete: Callable[[Path], bool]) -> Path | None:
    """The model's snapshot in the hub's cache, without touching the network."""
    repository = cache_folder(model.repo)
    snapshots = repository / "snapshots"
    if not snapshots.is_dir():
        return None
    reference = repository / "refs" / (model.revision or "main")
    commit = reference.read_text(encoding="ascii").strip() if reference.is_file() else model.revision
    candidates = [] if commit is None else [snapshots / commit]
    if model.revision is None:
        candidates += sorted(snapshots.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((path for path in candidates if path.is_dir() and is_complete(path)), None)


def cache_folder(repo: str) -> Path:
    """The repository's folder in the hub's cache, which is found without the hub's client installed."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(cache)).expanduser() / ("models--" + repo.replace("/", "--"))


def published_names(path: Path) -> tuple[str, ...]:
    """The names by which a file or a folder can tell whose weights it holds: its own, and the cache's name of it."""
    cached = [part for part in path.parts if part.startswith("models--")]
    return (path.name, path.parent.name if path.is_file() else "", *cached)
