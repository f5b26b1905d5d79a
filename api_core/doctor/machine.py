"""What this machine is. Imports nothing that a bare environment may lack, and tells no key, name or address."""

import getpass
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import AttentionPromptingError, reason

PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "tokenizers",
    "open_clip_torch",
    "timm",
    "safetensors",
    "huggingface_hub",
    "numpy",
    "pillow",
    "openai",
    "comfyui_frontend_package",
    "ray",
    "pyarrow",
)
SWITCHES = ("HF_HUB_OFFLINE", "HF_HOME", "ATTENTION_PROMPTING_NO_DOWNLOADS", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
SERVER_SECONDS = 0.5
PACK = Path(__file__).resolve().parents[2]
_END_OF_NAME = r"(?=[/\\]|$|[,;)\s])"


@dataclass(frozen=True)
class Fact:
    """One line of a report."""

    topic: str
    text: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.text}"


def machine_facts(folders: Mapping[str, Sequence[Path]] = {}, profiles: Path | None = None) -> list[Fact]:
    """Everything about this machine that can matter to how the pack works here.

    folders: where a host looks for models, by kind. profiles: the folder of the servers' profiles, None for the
    library's own. Servers of this machine are asked whether they answer; others are only counted.
    """
    found = [
        Fact("Attention Prompting", _own_version()),
        Fact("Python", f"{platform.python_version()} ({platform.python_implementation()}), {platform.platform()}"),
        Fact("Processor", f"{platform.machine()}, {os.cpu_count()} cores; {_main_memory()}"),
        *_guarded("torch", _torch),
        Fact("Packages", ", ".join(_packages())),
        *_guarded("ComfyUI", _comfyui),
        *_guarded("Models", lambda: _models(folders)),
        *_guarded("Servers", lambda: _servers(profiles)),
    ]
    switches = [f"{name}={os.environ[name]}" for name in SWITCHES if name in os.environ]
    found.append(Fact("Environment", ", ".join(switches) or "nothing set that matters"))
    return [Fact(fact.topic, without_names(fact.text)) for fact in found]


def without_names(text: str) -> str:
    """`text` without this user's name: it is to be shown to others."""
    with suppress(RuntimeError):  # a user without a home
        home = Path.home()
        if home != Path(home.anchor):  # as it is in some containers
            text = re.sub(re.escape(str(home)) + _END_OF_NAME, "~", text)
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such thing on this machine
        return text
    return re.sub(rf"(?<=[/\\]){re.escape(user)}{_END_OF_NAME}", "USER", text)


def _guarded(topic: str, facts: Callable[[], Iterable[Fact]]) -> Iterator[Fact]:
    """Some facts; what goes wrong on somebody's machine becomes one, since that is what is looked for."""
    try:
        yield from facts()
    except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
        yield Fact(topic, f"cannot be looked for: {type(error).__name__}: {reason(error, 200)}")


def _own_version() -> str:
    settings = PACK / "pyproject.toml"
    if settings.is_file():
        match = re.search(r'^version = "([^"]+)"', settings.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            return f"{match[1]} in {PACK}"
    return _version("attention-prompting") or "of an unknown version"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[str]:
    for package in PACKAGES:
        yield f"{package} {_version(package) or 'absent'}"


def _main_memory() -> str:
    try:
        psutil = importlib.import_module("psutil")
    except ImportError:
        return "memory unknown (psutil is not installed)"
    memory = psutil.virtual_memory()
    return f"{_gigabytes(memory.available)} of {_gigabytes(memory.total)} free"


def _gigabytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"


def _torch() -> Iterator[Fact]:
    try:
        torch: Any = importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a library that it is made of
        yield Fact("torch", f"cannot be imported: {reason(error, 200)}")
        return
    built = (torch.version.cuda and f"CUDA {torch.version.cuda}") or (torch.version.hip and f"ROCm {torch.version.hip}")
    yield Fact("torch", f"{torch.__version__} for {built or 'the processor'}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            of = torch.cuda.get_device_properties(index)
            free, total = torch.cuda.mem_get_info(index)
            room = f"{_gigabytes(free)} of {_gigabytes(total)} free"
            yield Fact("Device", f"cuda:{index} {of.name}, compute {of.major}.{of.minor}, {room}")
    elif torch.backends.mps.is_available():
        yield Fact("Device", "mps (Apple)")
    else:
        yield Fact("Device", "cpu: torch sees no GPU")


def _comfyui() -> Iterator[Fact]:
    yield Fact("ComfyUI", _version_of_comfyui())


def _version_of_comfyui() -> str:
    running = sys.modules.get("comfyui_version")
    if running is not None:
        return f"{running.__version__}, which runs this"
    for home in (os.environ.get("COMFYUI_PATH"), PACK.parent.parent, Path.home() / "comfy" / "ComfyUI"):
        file = Path(home or "") / "comfyui_version.py"
        if home and file.is_file():
            match = re.search(r'__version__ = "([^"]+)"', file.read_text(encoding="utf-8", errors="replace"))
            return f"{match[1] if match else 'of an unknown version'} in {file.parent}"
    return "not found (set COMFYUI_PATH, or run this inside it); the library does not need it"


def _models(folders: Mapping[str, Sequence[Path]]) -> Iterator[Fact]:
    for kind, paths in folders.items():
        yield Fact(f"Folders of {kind}", ", ".join(f"{path}{'' if path.is_dir() else ' (absent)'}" for path in paths))
    yield from _guarded("Hub cache", _hub_cache)
    yield Fact("Models here", ", ".join(_models_here([path for paths in folders.values() for path in paths])))


def _hub_cache() -> Iterator[Fact]:
    from ..models.files.local import cache_folder

    cache = cache_folder("owner/name").parent
    place = next((folder for folder in (cache, *cache.parents) if folder.is_dir()), None)
    room = "whose disk is not there" if place is None else f"{_gigabytes(shutil.disk_usage(place).free)} free there"
    yield Fact("Hub cache", f"{cache}, {room}")


def _models_here(folders: Sequence[Path]) -> Iterator[str]:
    """The models of the catalogs that lie on this machine."""
    from ..models.catalog import CLIP_MODELS, LVLM_MODELS, ClipEntry, LvlmEntry
    from ..models.clip import open_clip_source, transformers_source
    from ..models.files import transformers_folder
    from ..models.files.local import HubFiles, find_in_cache, find_in_folders
    from ..models.lvlm import build

    sources = {"open_clip": open_clip_source, "transformers": transformers_source}
    entries: tuple[ClipEntry | LvlmEntry, ...] = (*CLIP_MODELS, *LVLM_MODELS)
    for entry in entries:
        if entry.repo is None:
            yield f"{entry.name} (embedded)"
            continue
        patterns, is_complete = build.PATTERNS, transformers_folder.is_complete
        if isinstance(entry, ClipEntry):
            patterns, is_complete = sources[entry.source].PATTERNS, sources[entry.source].is_complete
        files = HubFiles.of(entry, patterns)
        try:
            if find_in_folders(files, folders, is_complete) or find_in_cache(files, is_complete):
                yield entry.name
        except AttentionPromptingError:
            yield f"{entry.name} (incomplete)"


def _servers(profiles: Path | None) -> Iterator[Fact]:
    from ..models.server import list_profiles

    kept = list_profiles(profiles)
    told = [f"{profile.name} {_listens(profile.address)}" for profile in kept if profile.is_local]
    elsewhere = len(kept) - len(told)
    if elsewhere:
        told.append(f"{elsewhere} on other machines, not asked")
    yield Fact("Servers", ", ".join(told) or "none")


def _listens(address: str) -> str:
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=SERVER_SECONDS):
            return "answers"
    except OSError:
        return "does not answer"
