"""The subgraph blueprint: a picture and a question in, the prompted picture out, as one node of ComfyUI's library."""

from collections.abc import Mapping
from typing import Any

from shared_nodes import load_clip, tune
from workflow_spec import Node, Story

NAME = "Attention prompt"
ID = "4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1db1"
CATEGORY = "Image Tools/Attention prompting"
DESCRIPTION = (
    "Shows a vision-language model where to look: a CLIP finds what the question is about, and the rest of the picture "
    "fades. Give the picture that comes out, and the same question, to any model that answers."
)
INPUT_NODE, OUTPUT_NODE = -10, -20

# What the one node shows: its name there, and the inner node and input behind it.
INPUTS: Mapping[str, tuple[str, str]] = {
    "image": ("heatmap", "image"),
    "question": ("heatmap", "query"),
    "model": ("clip", "model"),
    "allow_download": ("clip", "allow_download"),
    "contrast": ("mask", "contrast"),
    "smoothing": ("mask", "smoothing"),
    "strength": ("overlay", "strength"),
}
ALSO = {"image": (("overlay", "image"),)}
OUTPUTS: Mapping[str, tuple[str, str]] = {"image": ("overlay", "image"), "mask": ("mask", "mask")}

INSIDE = Story(
    name=NAME,
    id=ID,
    nodes=(
        load_clip((0, 0)),
        Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (400, 300), values={"query": "the red star"}),
        tune("mask", (900, 0), width=360),
        Node("overlay", "AttnPromptOverlay", (1320, 0), (360, 180), values={"style": "fade to grey"}),
    ),
    links=(
        ("clip", "clip", "heatmap", "clip"),
        ("heatmap", "heatmap", "mask", "heatmap"),
        ("mask", "mask", "overlay", "mask"),
    ),
    thumbnail=None,
)


def to_blueprint(graph: Mapping[str, Any]) -> dict[str, Any]:
    """The blueprint of a saved graph, whose nodes are those of `INSIDE` in the same order."""
    nodes = {node.key: saved for node, saved in zip(INSIDE.nodes, graph["nodes"], strict=True)}
    links = [_link(*link) for link in graph["links"]]
    inputs = [_input(name, nodes, links) for name in INPUTS]
    outputs = [_output(name, nodes, links) for name in OUTPUTS]
    inside = {
        "id": ID,
        "version": 1,
        "state": {"lastGroupId": 0, "lastNodeId": len(nodes), "lastLinkId": len(links), "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": NAME,
        "inputNode": {"id": INPUT_NODE, "bounding": [-240, 0, 140, 40 + 20 * len(inputs)]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [1760, 0, 120, 40 + 20 * len(outputs)]},
        "inputs": inputs,
        "outputs": outputs,
        "widgets": [],
        "nodes": list(nodes.values()),
        "groups": [],
        "links": links,
        "extra": {},
        "category": CATEGORY,
        "description": DESCRIPTION,
    }
    outside = {
        "id": len(nodes) + 1,
        "type": ID,
        "pos": [0, 0],
        "size": [400, 280],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [_slot(name, nodes) for name in INPUTS],
        "outputs": [{"name": slot["name"], "type": slot["type"], "links": []} for slot in outputs],
        "title": NAME,
        "properties": {
            "proxyWidgets": [[str(nodes[key]["id"]), entry] for key, entry in INPUTS.values() if entry != "image"],
            **{name: nodes["overlay"]["properties"][name] for name in ("cnr_id", "ver")},
        },
        "widgets_values": [],
    }
    return {
        "revision": 0,
        "last_node_id": len(nodes) + 1,
        "last_link_id": 0,
        "nodes": [outside],
        "links": [],
        "version": 0.4,
        "definitions": {"subgraphs": [inside]},
        "extra": {},
    }


def _link(number: int, origin: int, slot: int, target: int, entry: int, kind: str) -> dict[str, Any]:
    return {
        "id": number,
        "origin_id": origin,
        "origin_slot": slot,
        "target_id": target,
        "target_slot": entry,
        "type": kind,
    }


def _entry(node: Mapping[str, Any], name: str) -> int:
    return next(number for number, slot in enumerate(node["inputs"]) if slot["name"] == name)


def _input(name: str, nodes: Mapping[str, Any], links: list[dict[str, Any]]) -> dict[str, Any]:
    """An input of the subgraph, with its links added."""
    made = []
    for key, entry in (INPUTS[name], *ALSO.get(name, ())):
        node, number = nodes[key], _entry(nodes[key], entry)
        slot = node["inputs"][number]
        slot["link"] = len(links) + 1
        links.append(_link(slot["link"], INPUT_NODE, list(INPUTS).index(name), node["id"], number, slot["type"]))
        made.append(links[-1])
    return {"id": _slot_id(0, name), "name": name, "type": made[0]["type"], "linkIds": [link["id"] for link in made]}


def _output(name: str, nodes: Mapping[str, Any], links: list[dict[str, Any]]) -> dict[str, Any]:
    key, leaves = OUTPUTS[name]
    node = nodes[key]
    number = next(i for i, slot in enumerate(node["outputs"]) if slot["name"] == leaves)
    slot = node["outputs"][number]
    link = _link(len(links) + 1, node["id"], number, OUTPUT_NODE, list(OUTPUTS).index(name), slot["type"])
    slot["links"] = [*(slot["links"] or []), link["id"]]
    links.append(link)
    return {"id": _slot_id(1, name), "name": name, "type": slot["type"], "linkIds": [link["id"]]}


def _slot_id(side: int, name: str) -> str:
    number = list(OUTPUTS if side else INPUTS).index(name)
    return f"{ID[:-3]}{'ed'[side]}{number:02d}"


def _slot(name: str, nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The same input, on the one node; a setting has a widget there."""
    key, entry = INPUTS[name]
    slot = nodes[key]["inputs"][_entry(nodes[key], entry)]
    return {
        "name": name,
        "type": slot["type"],
        **({"widget": {"name": name}} if "widget" in slot else {}),
        "link": None,
    }
