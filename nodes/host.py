"""The only file that touches ComfyUI's own modules: memory, Stop, the server, the prompt that runs, folders."""

import contextlib
import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import comfy.model_management
import comfy.model_patcher
import comfy.utils
import folder_paths
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor, nn

from ..api_core.autograd import frozen
from ..api_core.models.files.download import forbid_downloads
from .sockets import Loaded, PairedClip

NO_DOWNLOADS = "ATTENTION_PROMPTING_NO_DOWNLOADS"
"""Environment variable: set to anything but 0, nothing is ever downloaded, whatever a workflow asks for."""

MODEL_FOLDERS = ("clip_vision", "text_encoders", "clip", "LLM", "VLM")  # "clip" is the old name of text_encoders
SETTINGS_NAME = "attention_prompting"
TRIM_SECONDS = 1.0
OWN_FOLDERS = ("LLM", "VLM")  # ComfyUI has no such kinds of its own; several packs share the names


class HasModule(Protocol):
    """What runs weights: a ClipModel or an LvlmModel."""

    @property
    def module(self) -> nn.Module: ...


Model = TypeVar("Model", bound=HasModule)
Held = TypeVar("Held")


class AttentionPromptingModel(nn.Module):
    """Gives ComfyUI's patcher a module with a `device` it may write; transformers' models refuse that.

    Its name is what ComfyUI's log shows when it loads and unloads.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.device: torch.device | None = None


def load_device() -> torch.device:
    """Where models run. A ComfyUI that keeps no weights on the GPU cannot hold plain torch modules there."""
    if comfy.model_management.vram_state == comfy.model_management.VRAMState.NO_VRAM:
        return torch.device("cpu")
    return comfy.model_management.get_torch_device()


def offload_device() -> torch.device:
    """Where models wait."""
    return comfy.model_management.text_encoder_offload_device()


def auto_precision() -> str:
    """What "auto" means on the device that models run on."""
    return "fp16" if comfy.model_management.should_use_fp16(load_device(), prioritize_performance=False) else "fp32"


def hold(build: Callable[[], Model], socket: Callable[[Any, Model], Held]) -> Held:
    """Build a model outside inference mode and hand its weights to ComfyUI's memory management.

    socket: the class of what travels on the model's socket. A plain `ModelPatcher`: the dynamic one would force-load
    ordinary torch modules and not give them back.
    """
    with frozen():
        model = build()
        holder = AttentionPromptingModel(model.module)
        patcher = comfy.model_patcher.ModelPatcher(holder, load_device=load_device(), offload_device=offload_device())
    weakref.finalize(holder, _return_memory_soon).atexit = False
    return socket(patcher, model)


def on_device(loaded: Loaded[Model], memory_required: int) -> Model:
    """Bring a model to its device, with `memory_required` bytes beside it, and return it. Call before every use.

    Nodes execute inside `torch.inference_mode()`; weights moved there become inference tensors, which no later gradient
    can pass. So the move happens outside of it, and weights that another node had ComfyUI move are made ordinary again.
    Those of ComfyUI's own models are left as they are.
    """
    if isinstance(loaded, PairedClip):
        both = [loaded.patcher, loaded.text_patcher]
        comfy.model_management.load_models_gpu(both, memory_required=memory_required)
    else:
        with frozen():
            needed = {"memory_required": memory_required, "force_full_load": True}
            comfy.model_management.load_models_gpu([loaded.patcher], **needed)
            _make_ordinary(loaded.model.module)
    return loaded.model


def load_clip(clip: Any, memory_required: int) -> None:
    """Bring one of ComfyUI's own CLIPs or CLIP_VISIONs to its device, with `memory_required` bytes beside it."""
    comfy.model_management.load_models_gpu([clip.patcher], memory_required=memory_required)


@contextlib.contextmanager
def running(clip: Any) -> Iterator[None]:
    """Run parts of one of ComfyUI's own encoders as it does itself: loaded, on its device."""
    clip.load_model()
    on_its_card = getattr(comfy.model_management, "cuda_device_context", contextlib.nullcontext)  # not in older ones
    with on_its_card(clip.patcher.load_device):
        yield


@contextlib.contextmanager
def without_own_bar() -> Iterator[None]:
    """Keep ComfyUI's loop from moving the node's bar: of hundreds of short passes each would fill it."""
    hook = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(None)
    try:
        yield
    finally:
        comfy.utils.set_progress_bar_global_hook(hook)


def _return_memory_soon() -> None:
    """Have the C library give freed weights back to the system, once they are freed.

    glibc returns large blocks at once only until one was freed; then it keeps blocks of that size for itself, and of a
    second model nearly all of its memory would stay with the process.
    """
    timer = threading.Timer(TRIM_SECONDS, _return_memory)
    timer.daemon = True
    timer.start()


def _return_memory() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # other C libraries have no such function
            ctypes.CDLL(None).malloc_trim(0)


def _make_ordinary(module: nn.Module) -> None:
    replaced: dict[int, Any] = {}  # tied weights stay tied
    for part in module.modules():
        slots: dict[str, Any]
        for slots in (part._parameters, part._buffers):
            for name, tensor in slots.items():
                if tensor is None or not tensor.is_inference():
                    continue
                if id(tensor) not in replaced:
                    copy = tensor.detach().clone()
                    is_weight = isinstance(tensor, nn.Parameter)
                    replaced[id(tensor)] = nn.Parameter(copy, requires_grad=tensor.requires_grad) if is_weight else copy
                slots[name] = replaced[id(tensor)]


def stop_when_asked() -> None:
    """Raise ComfyUI's own exception where the user pressed Stop."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def progress_bar(node_id: str | None) -> Any:
    """The bar of the node with that id, which can also carry a picture."""
    return comfy.utils.ProgressBar(1, node_id=node_id)


def server() -> Any:
    """The running ComfyUI's server, or None. Looked up, not imported: where there is one it is there already."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def serve(path: str, answer: Callable[[Any], Any]) -> None:
    """Have ComfyUI's server answer `path`."""
    if (running_server := server()) is not None:
        running_server.routes.get(path)(answer)


def is_connected(hidden: Any, output: int) -> bool:
    """Whether anything takes that output of the node that runs. hidden: its `unique_id` and `dynprompt`.

    What is connected later does not make ComfyUI run the node again: it keeps what the node gave before.
    """
    graph = hidden.dynprompt
    nodes = [] if graph is None else [graph.get_node(name) for name in graph.all_node_ids()]
    return any([hidden.unique_id, output] == value for node in nodes for value in node.get("inputs", {}).values())


def sent(hidden: Any, name: str) -> Any:
    """What the prompt itself says for an input of the node that runs; None where it says nothing. hidden: as above."""
    graph, node = getattr(hidden, "dynprompt", None), getattr(hidden, "unique_id", None)
    return None if graph is None or node is None else graph.get_node(node)["inputs"].get(name)


def blocked(message: str) -> ExecutionBlocker:
    """An output that stops what is connected to it, with a message; the node's other outputs work."""
    return ExecutionBlocker(message)


def to_intermediate(pictures: Tensor) -> Tensor:
    """Pictures on the device and in the precision that ComfyUI passes between nodes."""
    return pictures.to(comfy.model_management.intermediate_device(), comfy.model_management.intermediate_dtype())


def register_model_folders() -> None:
    """Make ComfyUI know the folders that packs share for language models, so that extra_model_paths.yaml applies."""
    for name in OWN_FOLDERS:
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))


def model_folders() -> dict[str, list[Path]]:
    """Every folder that models are looked for in, by the kind of it, each folder once."""
    seen: set[str] = set()
    folders: dict[str, list[Path]] = {}
    for name in MODEL_FOLDERS:
        try:
            paths = folder_paths.get_folder_paths(name)
        except KeyError:
            continue
        fresh = [path for path in paths if os.path.realpath(path) not in seen]
        seen.update(os.path.realpath(path) for path in fresh)
        if fresh:
            folders.setdefault(name, []).extend(Path(path) for path in fresh)
    return folders


def all_model_folders() -> list[Path]:
    """Every folder that models are looked for in."""
    return [folder for folders in model_folders().values() for folder in folders]


def apply_download_rule() -> None:
    """Tell the library whether this machine's owner ruled downloads out (see NO_DOWNLOADS)."""
    forbidden = os.environ.get(NO_DOWNLOADS, "0").strip().lower() not in ("", "0", "false", "no")
    forbid_downloads(forbidden, by=f"the environment variable {NO_DOWNLOADS}")


def temporary_folder() -> Path:
    """Where files lie that a page shows and nobody keeps; ComfyUI empties it when it starts and when it ends."""
    return Path(folder_paths.get_temp_directory())


def settings_folder() -> Path:
    """Where this pack keeps what no page may read, such as server profiles; it need not exist yet."""
    return Path(folder_paths.get_system_user_directory(SETTINGS_NAME))
