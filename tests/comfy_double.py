"""A small stand-in for the parts of ComfyUI that the nodes use, for machines without one.

`install()` puts it where the nodes import ComfyUI from. `tests/nodes/test_double.py` checks its signatures against the
real modules wherever a ComfyUI is found, so that it cannot drift from them unnoticed.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

# --- comfy_api.latest.io -----------------------------------------------------------------------------------------


class Input:
    """An input that knows the keywords the nodes give; any other is refused, as the real one would."""

    io_type = "*"
    KEYWORDS: tuple[str, ...] = ("display_name", "optional", "tooltip", "advanced")

    def __init__(self, id: str, **given: Any) -> None:
        unknown = set(given) - set(self.KEYWORDS)
        if unknown:
            raise TypeError(f"{type(self).__name__} of {id!r} got unexpected keywords {sorted(unknown)}")
        self.id = id
        for name in dict.fromkeys((*Input.KEYWORDS, *self.KEYWORDS)):
            setattr(self, name, given.get(name))
        self.optional = bool(self.optional)

    def get_io_type(self) -> str:
        return self.io_type


class Output:
    io_type = "*"

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None:
        self.id, self.display_name, self.tooltip, self.is_output_list = id, display_name or id, tooltip, is_output_list


def make_type(io_type: str, *keywords: str) -> Any:
    """A type of the double: `Input` with the common keywords and these, and `Output`."""
    named = {"io_type": io_type}
    input_class = type("Input", (Input,), {**named, "KEYWORDS": (*Input.KEYWORDS, *keywords)})
    return type(io_type, (), {**named, "Input": input_class, "Output": type("Output", (Output,), dict(named))})


WIDGETS = {
    "Image": make_type("IMAGE"),
    "Mask": make_type("MASK"),
    "Clip": make_type("CLIP"),
    "ClipVision": make_type("CLIP_VISION"),
    "BoundingBox": make_type("BOUNDING_BOX"),
    "Int": make_type("INT", "default", "min", "max", "step", "control_after_generate"),
    "Float": make_type("FLOAT", "default", "min", "max", "step"),
    "String": make_type("STRING", "default", "multiline", "placeholder", "force_input"),
    "Boolean": make_type("BOOLEAN", "default"),
    "Combo": make_type("COMBO", "options", "default"),
    "Color": make_type("COLOR", "default"),
    "MultiType": make_type("*", "types"),
    "Autogrow": make_type("COMFY_AUTOGROW_V3", "template"),
    "DynamicCombo": make_type("COMFY_DYNAMICCOMBO_V3", "options"),
}
"""The types that the nodes use, with the keywords they give each."""
WIDGETS["MultiType"].Input.get_io_type = lambda self: ",".join(kind.io_type for kind in self.types)


@dataclass
class TemplatePrefix:
    input: Input
    prefix: str
    min: int = 1
    max: int = 10


@dataclass
class Option:
    key: str
    inputs: list[Input]


WIDGETS["Autogrow"].TemplatePrefix = TemplatePrefix
WIDGETS["DynamicCombo"].Option = Option


class ControlAfterGenerate(str, Enum):
    fixed = "fixed"
    randomize = "randomize"


class Hidden(str, Enum):
    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_output_node: bool = False
    is_input_list: bool = False


class NodeOutput:
    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args, self.ui, self.expand, self.block_execution = args, ui, expand, block_execution


class ComfyNode:
    hidden = None

    @classmethod
    def PREPARE_CLASS_CLONE(cls, v3_data: Any) -> Any:  # noqa: N802
        """The class that ComfyUI calls `execute` on, with its hidden values."""
        values = {key.name: value for key, value in v3_data["hidden_inputs"].items()}
        hidden = SimpleNamespace(**{name: values.get(name) for name in Hidden.__members__})
        return type(cls.__name__, (cls,), {"hidden": hidden})


class ComfyExtension:
    async def on_load(self) -> None:
        """Called once when the pack is loaded."""


class PreviewImage:
    def __init__(self, image, animated=False, cls=None, **kwargs):
        self.image = image

    def as_dict(self):
        return {"images": [{"filename": f"{i}.png"} for i in range(len(self.image))], "animated": (False,)}


# --- comfy, folder_paths, comfy_execution, server ----------------------------------------------------------------


class ModelPatcher:
    def __init__(self, model, load_device, offload_device):
        self.model, self.load_device, self.offload_device = model, load_device, offload_device
        model.device = offload_device


class InterruptProcessingException(BaseException):
    """The user pressed Stop."""


class VRAMState(Enum):
    NO_VRAM = 1
    NORMAL_VRAM = 3


class ModelManagement(ModuleType):
    """Moves a module where it belongs when asked to, whatever gradient mode the caller is in."""

    VRAMState = VRAMState
    InterruptProcessingException = InterruptProcessingException
    vram_state = VRAMState.NORMAL_VRAM

    def __init__(self) -> None:
        super().__init__("comfy.model_management")
        self.interrupted = False

    @staticmethod
    def load_models_gpu(models, memory_required=0, force_full_load=False):
        for patcher in models:
            patcher.model.to(patcher.load_device)

    @staticmethod
    def get_torch_device():
        return torch.device("cpu")

    @staticmethod
    def text_encoder_offload_device():
        return torch.device("cpu")

    @staticmethod
    def intermediate_device():
        return torch.device("cpu")

    @staticmethod
    def intermediate_dtype():
        return torch.float32

    @staticmethod
    def should_use_fp16(device=None, prioritize_performance=True):
        return False

    def interrupt_current_processing(self, value=True):
        """What POST /interrupt does."""
        self.interrupted = value

    def throw_exception_if_processing_interrupted(self):
        """What a node calls between steps."""
        if self.interrupted:
            self.interrupted = False
            raise InterruptProcessingException


class ProgressBar:
    def __init__(self, total, node_id=None):
        self.total, self.current = total, 0

    def update_absolute(self, value, total=None, preview=None):
        """Move the bar."""
        self.current, self.total = value, self.total if total is None else total


class ExecutionBlocker:
    def __init__(self, message):
        self.message = message


def make_folder_paths(models: Path) -> ModuleType:
    """A `folder_paths` whose model folders lie under `models`."""
    known: dict[str, list[str]] = {name: [str(models / name)] for name in ("text_encoders", "clip_vision")}

    def map_legacy(name: str) -> str:
        return {"clip": "text_encoders"}.get(name, name)

    def add_model_folder_path(folder_name, full_folder_path, is_default=False):
        paths = known.setdefault(map_legacy(folder_name), [])
        if full_folder_path not in paths:
            paths.append(full_folder_path)

    def get_folder_paths(folder_name):
        return known[map_legacy(folder_name)][:]

    def get_system_user_directory(name="system"):
        return str(models.parent / "user" / f"__{name}")

    return _module(
        "folder_paths",
        models_dir=str(models),
        add_model_folder_path=add_model_folder_path,
        get_folder_paths=get_folder_paths,
        get_system_user_directory=get_system_user_directory,
        get_temp_directory=lambda: str(models.parent / "temp"),
    )


def make_modules(models: Path) -> dict[str, ModuleType]:
    """Every module of the double, by the name it is imported under."""
    io = _module(
        "comfy_api.latest.io",
        Custom=lambda io_type: make_type(io_type, "extra_dict"),
        ControlAfterGenerate=ControlAfterGenerate,
        Hidden=Hidden,
        Schema=Schema,
        NodeOutput=NodeOutput,
        ComfyNode=ComfyNode,
        Input=Input,
        **WIDGETS,
    )
    ui = _module("comfy_api.latest.ui", PreviewImage=PreviewImage)
    management = ModelManagement()
    patcher = _module("comfy.model_patcher", ModelPatcher=ModelPatcher)
    progress = _module("comfy.utils", ProgressBar=ProgressBar)
    graph_utils = _module("comfy_execution.graph_utils", ExecutionBlocker=ExecutionBlocker)
    return {
        "comfy_api": _module("comfy_api"),
        "comfy_api.latest": _module("comfy_api.latest", io=io, ui=ui, ComfyExtension=ComfyExtension),
        "comfy_api.latest.io": io,
        "comfy_api.latest.ui": ui,
        "comfy": _module("comfy", model_management=management, model_patcher=patcher, utils=progress),
        "comfy.model_management": management,
        "comfy.model_patcher": patcher,
        "comfy.utils": progress,
        "comfy_execution": _module("comfy_execution", graph_utils=graph_utils),
        "comfy_execution.graph_utils": graph_utils,
        "folder_paths": make_folder_paths(models),
        "server": _module("server", PromptServer=SimpleNamespace(instance=None)),
    }


def install(models: Path) -> Callable[[], None]:
    """Put the double where ComfyUI's modules would be; the returned function takes it away again."""
    modules = make_modules(models)
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)

    def remove() -> None:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module

    return remove


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(content)
    return module
