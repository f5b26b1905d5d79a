"""Every shipped workflow is a sound graph that says where its nodes come from, read without a ComfyUI."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def graph(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_are_workflows():
    assert len(WORKFLOWS) >= 2


def test_links_join_slots_that_exist_and_agree_on_the_type(graph: dict[str, Any]):
    nodes = {node["id"]: node for node in graph["nodes"]}
    for link, origin, slot, target, entry, kind in graph["links"]:
        output = nodes[origin]["outputs"][slot]
        assert link in output["links"]
        assert nodes[target]["inputs"][entry]["link"] == link
        accepted = nodes[target]["inputs"][entry]["type"].split(",")
        assert output["type"] == kind
        assert kind in accepted or "*" in accepted
    linked = {slot["link"] for node in graph["nodes"] for slot in node.get("inputs", []) if slot.get("link")}
    assert linked == {link[0] for link in graph["links"]}


def test_every_node_says_which_pack_and_version_it_is_from(graph: dict[str, Any]):
    version = next(
        line.split('"')[1]
        for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        if line.startswith("version")
    )
    for node in graph["nodes"]:
        if node["type"].endswith("Note"):
            continue
        own = node["type"].startswith("AttnPrompt")
        assert node["properties"]["cnr_id"] == ("attention-prompting" if own else "comfy-core")
        assert not own or node["properties"]["ver"] == version


def test_it_draws_in_full_as_its_notes_and_pictures_show(graph: dict[str, Any]):
    """What a new node draws with may change; what ships says what it means."""
    drawing = [node for node in graph["nodes"] if node["type"] == "AttnPromptOverlay"]
    assert all(node["widgets_values"][0] == 1 for node in drawing)


def test_it_has_notes_a_thumbnail_and_nothing_of_one_machine(graph: dict[str, Any], path: Path):
    assert any(node["type"] == "MarkdownNote" for node in graph["nodes"])
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert thumbnail.format == "JPEG"
        assert min(thumbnail.size) >= 200
    text = path.read_text(encoding="utf-8")
    assert not [word for word in ("/home/", "/root/", "/Users/", "C:\\\\", "localhost", "127.0.0.1") if word in text]


def test_it_is_saved_in_the_format_the_frontend_saves(graph: dict[str, Any]):
    assert graph["version"] == 0.4
    assert graph["last_node_id"] >= max(node["id"] for node in graph["nodes"])


def test_only_slots_without_a_link_are_null(graph: dict[str, Any]):
    """The page's schema takes a missing value, and refuses most that are null."""
    assert not {"floatingLinks", "definitions"} & {name for name, value in graph.items() if value is None}
    for node in graph["nodes"]:
        assert None not in node.values()
        slots = [*node.get("inputs", []), *node.get("outputs", [])]
        assert {name for slot in slots for name, value in slot.items() if value is None} <= {"link", "links"}


@pytest.mark.parametrize("path", sorted((ROOT / "subgraphs").glob("*.json")), ids=lambda path: path.stem)
def test_blueprints_draw_in_full(path: Path):
    (inside,) = json.loads(path.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
    (drawing,) = [node for node in inside["nodes"] if node["type"] == "AttnPromptOverlay"]
    assert drawing["widgets_values"][0] == 1
