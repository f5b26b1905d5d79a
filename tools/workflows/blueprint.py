"""How a chain of nodes becomes a subgraph blueprint: one node of ComfyUI's library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_spec import Story

CATEGORY = "Image Tools/Attention prompting"
INPUT_NODE, OUTPUT_NODE = -10, -20


@dataclass(frozen=True)
class Blueprint:
    """What the one node shows: its name there, and the inner node and its input or output behind it.

    also: further inner inputs that the same value goes to.
    """

    inside: Story
    description: str
    inputs: Mapping[str, tuple[str, str]]
    outputs: Mapping[str, tuple[str, str]]
    also: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.inside.name

    @property
    def id(self) -> str:
        return self.inside.id


def to_saved(shown: Blueprint, graph: Mapping[str, Any]) -> dict[str, Any]:
    """The blueprint as ComfyUI saves it; graph: what the page made of `shown.inside`, its nodes in the same order."""
    nodes = {node.key: saved for node, saved in zip(shown.inside.nodes, graph["nodes"], strict=True)}
    links = [_link(*link) for link in graph["links"]]
    inputs = [_input(shown, name, nodes, links) for name in shown.inputs]
    outputs = [_output(shown, name, nodes, links) for name in shown.outputs]
    inside = {
        "id": shown.id,
        "version": 1,
        "state": {"lastGroupId": 0, "lastNodeId": len(nodes), "lastLinkId": len(links), "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": shown.name,
        "inputNode": {"id": INPUT_NODE, "bounding": [-240, 0, 140, 40 + 20 * len(inputs)]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [2200, 0, 120, 40 + 20 * len(outputs)]},
        "inputs": inputs,
        "outputs": outputs,
        "widgets": [],
        "nodes": list(nodes.values()),
        "groups": [],
        "links": links,
        "extra": {},
        "category": CATEGORY,
        "description": shown.description,
    }
    outside = {
        "id": len(nodes) + 1,
        "type": shown.id,
        "pos": [0, 0],
        "size": [400, 280],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [_slot(name, *inner, nodes) for name, inner in shown.inputs.items()],
        "outputs": [{"name": slot["name"], "type": slot["type"], "links": []} for slot in outputs],
        "title": shown.name,
        "properties": {
            "proxyWidgets": [
                [str(nodes[key]["id"]), entry] for key, entry in shown.inputs.values() if entry != "image"
            ],
            **{name: graph["nodes"][0]["properties"][name] for name in ("cnr_id", "ver")},
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


def _input(shown: Blueprint, name: str, nodes: Mapping[str, Any], links: list[dict[str, Any]]) -> dict[str, Any]:
    """An input of the subgraph, with its links added."""
    made = []
    for key, entry in (shown.inputs[name], *shown.also.get(name, ())):
        node, number = nodes[key], _entry(nodes[key], entry)
        slot = node["inputs"][number]
        slot["link"] = len(links) + 1
        links.append(_link(slot["link"], INPUT_NODE, list(shown.inputs).index(name), node["id"], number, slot["type"]))
        made.append(links[-1])
    number = _slot_id(shown, 0, name)
    return {"id": number, "name": name, "type": made[0]["type"], "linkIds": [link["id"] for link in made]}


def _output(shown: Blueprint, name: str, nodes: Mapping[str, Any], links: list[dict[str, Any]]) -> dict[str, Any]:
    key, leaves = shown.outputs[name]
    node = nodes[key]
    number = next(i for i, slot in enumerate(node["outputs"]) if slot["name"] == leaves)
    slot = node["outputs"][number]
    link = _link(len(links) + 1, node["id"], number, OUTPUT_NODE, list(shown.outputs).index(name), slot["type"])
    slot["links"] = [*(slot["links"] or []), link["id"]]
    links.append(link)
    return {"id": _slot_id(shown, 1, name), "name": name, "type": slot["type"], "linkIds": [link["id"]]}


def _slot_id(shown: Blueprint, side: int, name: str) -> str:
    number = list(shown.outputs if side else shown.inputs).index(name)
    return f"{shown.id[:-3]}{'ed'[side]}{number:02d}"


def _slot(name: str, key: str, entry: str, nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The same input, on the one node; a setting has a widget there."""
    slot = nodes[key]["inputs"][_entry(nodes[key], entry)]
    return {
        "name": name,
        "type": slot["type"],
        **({"widget": {"name": name}} if "widget" in slot else {}),
        "link": None,
    }
