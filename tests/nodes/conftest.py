"""The nodes without a server: on the double of ComfyUI, or in a process of its own on the real one.

`test_double.py` runs what is marked `both_hosts` a second time with ATTENTION_PROMPTING_TEST_HOST=real wherever a
ComfyUI is found: tests of what the host does, not of what the library computes.
"""

import asyncio
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.tests import comfy_double, tiny_encoders, zoo
from pack.tests.e2e.server import find_comfyui
from pack.tests.tiny import tiny_clip_folder

HOST_VARIABLE = "ATTENTION_PROMPTING_TEST_HOST"
ON_REAL_HOST = os.environ.get(HOST_VARIABLE) == "real"
TINY = "clip_vision/tiny"
TINY_LVLM = "LLM/llava-1.5"

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host's models folder, with a tiny random model in it."""
    folder = tmp_path_factory.mktemp("comfyui") / "models"
    tiny_clip_folder(folder / "clip_vision" / "tiny")
    (folder / "LLM").mkdir()
    zoo.folder("llava-1.5", folder / "LLM")
    return folder


@pytest.fixture(scope="session")
def nodes(models: Path) -> Iterator[Any]:
    """The pack's `nodes` package on the host of this run, its folders registered as ComfyUI does it."""
    remove = use_real_host(models) if ON_REAL_HOST else comfy_double.install(models)
    try:
        package = importlib.import_module("pack.nodes")
        asyncio.run(package.create_extension().on_load())
        yield package
    finally:
        remove()


def use_real_host(models: Path) -> Callable[[], None]:
    """Make the real ComfyUI importable, on the CPU, with its model folders elsewhere."""
    home = find_comfyui()
    assert home is not None, "There is no ComfyUI to run on."
    sys.path.insert(0, str(home))
    import utils.extra_config  # noqa: F401 - early, as in ComfyUI's main: a later import hides the name
    from comfy.cli_args import args

    args.cpu = True
    import folder_paths

    folder_paths.models_dir = str(models)
    folder_paths.set_user_directory(str(models.parent / "user"))
    folder_paths.set_temp_directory(str(models.parent / "temp"))
    folder_paths.folder_names_and_paths["clip_vision"] = ([str(models / "clip_vision")], {".safetensors"})
    folder_paths.folder_names_and_paths["text_encoders"] = ([str(models / "text_encoders")], {".safetensors"})
    return lambda: sys.path.remove(str(home))


@pytest.fixture(scope="session")
def encoders(nodes: Any) -> Callable[..., Any]:
    """Tiny encoders of the real host's own, by kind and window, each made once."""
    return functools.cache(lambda kind, window=None: tiny_encoders.tiny_clip(kind, sliding=window))


@pytest.fixture(scope="session")
def classes(nodes: Any) -> dict[str, Any]:
    """Every node of the pack by its id."""
    found = asyncio.run(nodes.create_extension().get_node_list())
    return {node.define_schema().node_id: node for node in found}


@pytest.fixture
def run(classes: dict[str, Any]) -> Run:
    """Execute a node as ComfyUI does: on a clone with hidden values, inside inference mode.

    connected: its outputs, by number, that another node takes.
    """
    io = importlib.import_module("comfy_api.latest").io

    def execute(node_id: str, connected: Sequence[int] = (), **inputs: Any) -> Any:
        node = classes[node_id]
        graph = Graph({"1": {"inputs": {}}, "2": {"inputs": {f"in{at}": ["1", at] for at in connected}}})
        hidden = {io.Hidden.unique_id: "1", io.Hidden.dynprompt: graph}
        clone = node.PREPARE_CLASS_CLONE({"hidden_inputs": hidden})
        given = {name: as_lists(value) for name, value in inputs.items()} if wants_lists(node) else inputs
        with torch.inference_mode():
            return clone.execute(**given)

    return execute


class Graph(dict[str, Any]):
    """What a node may ask of ComfyUI's `DynamicPrompt`."""

    all_node_ids = dict.keys
    get_node = dict.__getitem__


def wants_lists(node: Any) -> bool:
    return bool(node.define_schema().is_input_list)


def as_lists(value: Any) -> Any:
    """A value as ComfyUI hands it to a node that takes lists; a list stays the one that another node put out."""
    if isinstance(value, dict):
        return {name: as_lists(inner) for name, inner in value.items()}
    return value if isinstance(value, list) else [value]


@pytest.fixture
def clip(run: Run) -> Any:
    """A loaded tiny model, as it travels on its socket."""
    (loaded,) = run("AttnPromptLoadCLIP", model=TINY, precision="fp32", allow_download=False).args
    return loaded


@pytest.fixture
def lvlm(run: Run) -> Any:
    """A loaded tiny random LLaVA, as it travels on its socket."""
    (loaded,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM}).args
    return loaded


@pytest.fixture
def image() -> torch.Tensor:
    """Three pictures of 40 x 56 with a red square at another place in each."""
    pictures = torch.rand(3, 40, 56, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    for i, picture in enumerate(pictures):
        picture[4 + 6 * i : 18 + 6 * i, 8 + 10 * i : 24 + 10 * i, 0] = 1.0
    return pictures


HEATMAP = {"method": "decomposition", "layer": "auto", "reading": "precise", "fit": "auto"}
MASK = {
    "contrast": -1.0,
    "smoothing": 0,
    "interpolation": "lanczos",
    "words": "",
    "threshold": 0.0,
    "grow": 0,
    "invert": False,
}
LVLM = {"precision": "auto", "attention": "auto", "max_pixels": 0, "allow_download": False}
ASK = {
    "template": "plain",
    "system_prompt": "",
    "max_new_tokens": 6,
    "seed": 0,
    "decoding": {"decoding": "greedy"},
}
LVLM_HEATMAP = {
    "hint_words": "",
    "method": "auto",
    "layers": "auto",
    "reading": "precise",
    "max_new_tokens": 6,
}
EXPLAIN = {
    "words": "",
    "baseline": "blur",
    "seed": 0,
    "per_word": False,
    "max_new_tokens": 6,
    "method": {"method": "gradient x input"},
}
REGIONS = {"threshold": 0.5, "max_regions": 4, "padding": 0}


@pytest.fixture
def heatmap(run: Run, clip: Any, image: torch.Tensor) -> Any:
    """A heatmap of the three pictures."""
    return run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red square", **HEATMAP).args[0]
