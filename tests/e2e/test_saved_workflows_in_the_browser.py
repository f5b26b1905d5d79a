"""Workflows saved with earlier versions, opened in ComfyUI's own page: they mean what they meant, and run."""

import json
from pathlib import Path

import pytest
from pack.tests.e2e.browser import ComfyPage
from pack.tests.e2e.server import ROOT

pytestmark = pytest.mark.host

PACK_PREFIX = "AttnPrompt"
SAVED = sorted((ROOT / "tests" / "workflows" / "saved").glob("*/*.json"))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_what_was_saved_means_what_it_meant(page: ComfyPage, path: Path) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))
    nodes, then = saved["workflow"]["nodes"], saved["prompt"]
    page.open(modern=False)
    page.load(saved["workflow"])
    shown = page.node_types()  # a core loader is marked as well where its file lies not here
    assert all(shown[str(node["id"])] == node["type"] for node in nodes if node["type"].startswith(PACK_PREFIX))
    now = page.prompt()
    assert {key: node["class_type"] for key, node in now.items()} == {k: node["class_type"] for k, node in then.items()}
    for key, node in then.items():
        assert {name: now[key]["inputs"].get(name) for name in node["inputs"]} == node["inputs"]

    if any(node["properties"].get("models") for node in nodes):
        return  # models that cannot be had here
    known = page.server.get("/object_info")
    outputs = {key for key, node in now.items() if known[node["class_type"]]["output_node"]}
    history = page.run()
    assert outputs
    assert set(history["outputs"]) >= outputs
