"""Getting a model's files: what lies on this machine first, the hub only when the caller allows it.

Only safetensors, JSON, text, chat templates and tokenizers' vocabularies are ever fetched. Files land in the hub's own
cache (in its layout for systems without symbolic links), so other programs find them. A download that breaks off, or is
stopped, goes on where it ended.
"""

import errno
import fnmatch
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from ...errors import DownloadFailed, MissingPackage, ModelNotFound, reason
from ...progress import Progress, ignore_progress
from .local import SAFE_PATTERNS, HubFiles, cache_folder, find_in_cache, find_in_folders

log = logging.getLogger(__name__)

_SPARE_BYTES = 500_000_000
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG}
_forbidden_by: str | None = None


def forbid_downloads(forbidden: bool = True, by: str = "a setting") -> None:
    """Refuse every download of this process from now on, whatever a caller allows; `by` is what the error blames."""
    global _forbidden_by
    _forbidden_by = by if forbidden else None


@dataclass(frozen=True)
class RemoteFile:
    name: str
    size: int


def get_snapshot(
    model: HubFiles,
    *,
    is_complete: Callable[[Path], bool],
    folders: Sequence[Path] = (),
    allow_download: bool = False,
    on_progress: Progress = ignore_progress,
) -> Path:
    """The folder with the model's files: from `folders`, the hub's cache, or a download.

    is_complete: whether a folder holds the whole model; it may raise to say what is wrong with one that does not.
    on_progress: called with the bytes there are so far and in all; raising from it stops the download, keeping what
    has arrived. Raises ModelNotFound where a download is needed and not allowed, DownloadFailed where it fails.
    """
    found = find_in_folders(model, folders, is_complete)
    try:
        found = found or find_in_cache(model, is_complete)
    except ModelNotFound:  # shards are missing, as a download leaves that another program broke off
        if not allow_download:
            raise
    if found is not None:
        return found
    _require_permission(model, folders, allow_download)
    folder = _download(model, on_progress)
    if not is_complete(folder):
        raise DownloadFailed(
            f"{model.repo} does not publish {model.name!r} as safetensors, the only weights that are downloaded. "
            "Choose another model, or put its files in a model folder yourself."
        )
    return folder


def _require_permission(model: HubFiles, folders: Sequence[Path], allow_download: bool) -> None:
    size = f" ({model.size_bytes / 1e9:.1f} GB)" if model.size_bytes else ""
    short = model.repo.rpartition("/")[2]
    others = " (any of the model folders will do)" if len(folders) > 1 else ""
    place = f"{Path(folders[0]) / short}{others}" if folders else "a folder, and name that"
    by_hand = f"put the files of {model.repo} into {place}"
    missing = f"The weights of {model.name!r}{size} are not on this machine"
    if not allow_download:
        raise ModelNotFound(f"{missing}. Turn on allow_download to get them from {model.repo}, or {by_hand}.")
    if _forbidden_by is not None:
        raise DownloadFailed(f"{missing}, and downloads are forbidden by {_forbidden_by}. Change it, or {by_hand}.")
    if _offline():
        raise DownloadFailed(f"{missing}, and HF_HUB_OFFLINE is set. Unset it, or {by_hand}.")


def _download(model: HubFiles, on_progress: Progress) -> Path:
    hub = _hub()
    try:
        information = hub.HfApi(endpoint=_endpoint()).model_info(
            model.repo, revision=model.revision, files_metadata=True
        )
    except Exception as error:  # the hub's client raises its own, its HTTP library's and OSError
        raise DownloadFailed(_no_network(model, error)) from error
    files = [
        RemoteFile(sibling.rfilename, int(sibling.size or 0))
        for sibling in information.siblings or ()
        if _is_wanted(sibling.rfilename, model.patterns)
    ]
    if not files:
        raise DownloadFailed(f"{model.repo} holds none of {', '.join(model.patterns)}. Choose another model.")
    repository = cache_folder(model.repo)
    commit = str(information.sha)
    target = repository / "snapshots" / commit
    open_files = [file for file in files if not _is_whole(target / file.name, file.size)]
    total = sum(file.size for file in files)
    missing = sum(file.size for file in open_files)
    _require_room(model, repository, missing - sum(_size(_part(repository, commit, file)) for file in open_files))
    log.info("downloading %s: %.2f GB to %s", model.repo, total / 1e9, target)
    done = total - missing
    for file in open_files:

        def report(count: int, base: int = done) -> None:
            on_progress(base + count, total)

        _fetch(model, repository, commit, file, report)
        done += file.size
    reference = repository / "refs" / (model.revision or "main")
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(commit, encoding="ascii")
    on_progress(total, total)
    return target


def _is_wanted(name: str, patterns: Iterable[str]) -> bool:
    safe = any(fnmatch.fnmatch(name, pattern) for pattern in SAFE_PATTERNS)
    escapes = name.startswith("/") or ".." in Path(name).parts
    return safe and not escapes and any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _fetch(model: HubFiles, repository: Path, commit: str, file: RemoteFile, on_bytes: Callable[[int], None]) -> None:
    """Bring one file to its place in the snapshot, going on from what an earlier attempt left."""
    hub = _hub()
    from huggingface_hub.file_download import http_get

    part = _part(repository, commit, file)
    target = repository / "snapshots" / commit / file.name
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        url = hub.hf_hub_url(model.repo, file.name, revision=commit, endpoint=_endpoint())
        remote = hub.get_hf_file_metadata(url)
        location = remote.location or url
        headers = hub.utils.build_hf_headers()
        if urlsplit(location).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)  # the token is the hub's, not its storage's
        with part.open("ab") as stream, _silent(hub):
            http_get(
                location,
                _CountingFile(stream, on_bytes),  # type: ignore[arg-type]
                resume_size=stream.tell(),
                headers=headers,
                expected_size=file.size or None,
            )
    except _CallbackStopped as stopped:
        raise stopped.reason from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise DownloadFailed(
                f"{model.name!r} cannot be written to {repository}: {error.strerror}. Make room there and allow "
                "writing, or set HF_HOME to another disk."
            ) from error
        raise DownloadFailed(_no_network(model, error)) from error
    digest = (remote.etag or "").strip('"')
    if len(digest) == 64 and _sha256(part) != digest:
        part.unlink()
        raise DownloadFailed(f"{file.name} of {model.repo} arrived damaged (its checksum is wrong). Try again.")
    part.replace(target)


class _CallbackStopped(BaseException):
    """Carries what a progress callback raised past the hub client's own handling of errors."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _CountingFile:
    """A file that reports its length with every write: the one place to see and stop a transfer in every hub client."""

    def __init__(self, stream: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_bytes = on_bytes

    def write(self, data: bytes) -> int:
        count = self._stream.write(data)
        try:
            self._on_bytes(self._stream.tell())
        except BaseException as reason:
            raise _CallbackStopped(reason) from reason
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingPackage("Downloads need huggingface_hub. Install it with: pip install huggingface_hub") from error
    return huggingface_hub


def _silent(hub: Any) -> ExitStack:
    """The hub client's own progress bar off: progress goes to the callback, nothing to the terminal."""
    stack = ExitStack()
    name = "huggingface_hub.http_get"
    if not hub.utils.are_progress_bars_disabled(name):
        hub.utils.disable_progress_bars(name)
        stack.callback(hub.utils.enable_progress_bars, name)
    return stack


def _endpoint() -> str:
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in {"1", "ON", "YES", "TRUE"}


def _part(repository: Path, commit: str, file: RemoteFile) -> Path:
    return repository / "unfinished" / commit / (file.name.replace("/", "--") + ".part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _require_room(model: HubFiles, repository: Path, needed: int) -> None:
    place = repository
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed + _SPARE_BYTES:
        raise DownloadFailed(
            f"{model.name!r} needs {needed / 1e9:.2f} GB at {repository}; only {free / 1e9:.2f} GB are free there. "
            "Make room, or set HF_HOME to a disk that has some."
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _no_network(model: HubFiles, error: Exception) -> str:
    return (
        f"{model.name!r} could not be downloaded from {model.repo} at {_endpoint()}: {reason(error)}. "
        "Check the network and try again (what has arrived is kept), or put the files in a model folder yourself."
    )
