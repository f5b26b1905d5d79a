"""The shipped workflows as API prompts, each with a few things wrong."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from pack.tests.fuzz.values import SAID
from pack.tests.promised import inputs, schemas
from pack.tests.workflows.own_nodes import PACK_PREFIX, saved_values

ROOT = Path(__file__).resolve().parents[2]
Prompt = dict[str, dict[str, Any]]

SMALL = {"width": 96, "height": 64, "frames": 2, "max_new_tokens": 4, "steps": 2, "masks": 8, "window": 32}
"""What work grows with."""
PRICELESS = {"AttnPromptExplain": {"method": "difference"}}
LITERALS = (None, "x", 5, -1, 0.5, True, [], {}, ["a"], {"x": 1}, 10**30, "", *SAID)


def shipped() -> dict[str, Prompt]:
    """Every workflow that ships, by its name, in sizes that take no time; without models that have to be fetched."""
    found = {}
    for path in sorted((ROOT / "workflows").glob("*.json")):
        workflow = json.loads(path.read_text(encoding="utf-8"))
        prompt = _prompt(workflow)
        if any(node["class_type"].startswith(PACK_PREFIX) for node in prompt.values()):
            found[path.stem] = prompt
    return found


def _prompt(workflow: Mapping[str, Any]) -> Prompt:
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt: Prompt = {}
    for node in workflow["nodes"]:
        own = node["type"].startswith(PACK_PREFIX)
        if node["type"].endswith("Note") or node.get("mode", 0) != 0:
            continue
        wired = {slot["name"]: links[slot["link"]] for slot in node.get("inputs", []) if slot.get("link") is not None}
        values = saved_values(node) if own else _core_values(node)
        small = {name: SMALL[name.split(".")[-1]] for name in values if name.split(".")[-1] in SMALL}
        prompt[str(node["id"])] = {
            "class_type": node["type"],
            "inputs": {**values, **small, **PRICELESS.get(node["type"], {}), **wired},
        }
    return {name: _without_ends(node, prompt) for name, node in prompt.items()}


def _core_values(node: Mapping[str, Any]) -> dict[str, Any]:
    names = [slot["widget"]["name"] for slot in node.get("inputs", []) if "widget" in slot]
    return dict(zip(names, node.get("widgets_values") or [], strict=False))


def _without_ends(node: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
    """A node without wires from notes and what is switched off."""
    kept = {name: value for name, value in node["inputs"].items() if not isinstance(value, list) or value[0] in prompt}
    return {**node, "inputs": kept}


@st.composite
def mutated(draw: Any, prompts: Mapping[str, Prompt]) -> tuple[str, Prompt]:
    """A shipped workflow with one to four changes: values, wires, nodes."""
    name = draw(st.sampled_from(sorted(prompts)))
    prompt = deepcopy(prompts[name])
    for _ in range(draw(st.integers(1, 4))):
        own = [key for key, node in prompt.items() if node["class_type"].startswith(PACK_PREFIX)]
        if not own:
            break
        node = prompt[draw(st.sampled_from(own))]
        given = node["inputs"]
        key = draw(st.sampled_from([*sorted(inputs(node["class_type"])), *sorted(given), "magic"]))
        change = draw(st.sampled_from(("value", "value", "wire", "wire", "leave out", "another node", "remove a node")))
        if change == "value" and key.split(".")[-1] not in SMALL and key != "decoding":
            given[key] = draw(st.sampled_from(LITERALS))
        elif change == "wire":
            given[key] = [draw(st.sampled_from(sorted(prompt))), draw(st.integers(0, 4))]
        elif change == "leave out":
            given.pop(key, None)
        elif change == "another node":
            node["class_type"] = draw(st.sampled_from(sorted(schemas())))
        elif change == "remove a node" and len(prompt) > 2:
            del prompt[draw(st.sampled_from(sorted(prompt)))]
    return name, _without_false_wires(prompt, prompts[name])


def _without_false_wires(prompt: Prompt, before: Prompt) -> Prompt:
    """Without wires from outputs that no node has, and from no node to what is no input, which ComfyUI does not check:
    of these its own worker dies, before any node is asked."""
    used = {tuple(value) for node in before.values() for value in node["inputs"].values() if _is_wire(value)}

    def exists(kind: str, name: str, value: Any) -> bool:
        if not _is_wire(value):
            return True
        if value[0] not in prompt:
            return kind in schemas() and name.split(".")[0] in inputs(kind)
        own = schemas().get(prompt[value[0]]["class_type"])
        return tuple(value) in used if own is None else value[1] < len(own["outputs"])

    for node in prompt.values():
        kind, given = node["class_type"], node["inputs"]
        node["inputs"] = {name: value for name, value in given.items() if exists(kind, name, value)}
    return prompt


def _is_wire(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
