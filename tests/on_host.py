"""The pack's nodes on the host of this run, once for all tests that run nodes without a server."""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.tests import comfy_double, zoo
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
def classes(nodes: Any) -> dict[str, Any]:
    """Every node of the pack by its id."""
    found = asyncio.run(nodes.create_extension().get_node_list())
    return {node.define_schema().node_id: node for node in found}


@pytest.fixture(scope="session")
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
