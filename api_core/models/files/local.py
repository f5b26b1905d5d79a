"""Where a model's files lie on this machine: in the model folders of a host, and in the hub's cache."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SAFE_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.jinja", "*.model")


@dataclass(frozen=True)
class Wanted:
    """A model's files on the hub: `patterns` of file names in `repo` at `revision` (None: its main branch)."""

    name: str
    repo: str
    revision: str | None = None
    patterns: tuple[str, ...] = SAFE_PATTERNS
    size_bytes: int = 0


def find_in_folders(wanted: Wanted, folders: Sequence[Path], is_complete: Callable[[Path], bool]) -> Path | None:
    """The model's own folder in one of the model folders, under the repository's name or the catalog's."""
    organisation, _, short = wanted.repo.rpartition("/")
    names = (short, f"{organisation}/{short}", f"{organisation}--{short}", wanted.name.replace("/", "-"))
    for folder in folders:
        for name in names:
            candidate = Path(folder) / name
            if candidate.is_dir() and is_complete(candidate):
                return candidate
    return None


def find_in_cache(wanted: Wanted, is_complete: Callable[[Path], bool]) -> Path | None:
    """The model's snapshot in the hub's cache, without touching the network."""
    repository = cache_folder(wanted.repo)
    snapshots = repository / "snapshots"
    if not snapshots.is_dir():
        return None
    reference = repository / "refs" / (wanted.revision or "main")
    commit = reference.read_text(encoding="ascii").strip() if reference.is_file() else wanted.revision
    candidates = [] if commit is None else [snapshots / commit]
    if wanted.revision is None:
        candidates += sorted(snapshots.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((path for path in candidates if path.is_dir() and is_complete(path)), None)


def cache_folder(repo: str) -> Path:
    """The repository's folder in the hub's cache, which is found without the hub's client installed."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(cache)).expanduser() / ("models--" + repo.replace("/", "--"))
