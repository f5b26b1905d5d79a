"""The values that a saved workflow gives the pack's own nodes, against what the nodes promise (`schemas.json`)."""

from collections.abc import Iterator, Mapping
from typing import Any

PACK_PREFIX = "AttnPrompt"
PYTHON = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool, "COLOR": str}
AFTER_SEED = "control_after_generate"

Schemas = Mapping[str, Mapping[str, Any]]


def nodes_of(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The pack's own nodes of a saved workflow, those inside subgraphs among them."""
    inside = [graph["nodes"] for graph in workflow.get("definitions", {}).get("subgraphs", [])]
    for nodes in (workflow["nodes"], *inside):
        yield from (node for node in nodes if node["type"].startswith(PACK_PREFIX))


def saved_values(node: Mapping[str, Any]) -> dict[str, Any]:
    """The widgets' values by name; a workflow holds them by position alone, and a seed has one more beside it.

    The widgets of a dynamic input follow its own; its slots may stand before.
    """
    slots = [slot["widget"]["name"] for slot in node.get("inputs", []) if "widget" in slot]
    names = list(dict.fromkeys(name for slot in slots for name in (slot.split(".")[0], slot)))
    if "seed" in names:
        names.insert(names.index("seed") + 1, AFTER_SEED)
    values = node.get("widgets_values") or []
    assert len(names) == len(values), f"{node['type']}: {names} do not go with {values}"
    return {name: value for name, value in zip(names, values, strict=True) if name != AFTER_SEED}


def offered(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Every input of a node by its name, those of the chosen options and of growing inputs among them."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in schema["inputs"]:
        name = entry["id"]
        if "template" in entry:
            template = entry["template"]
            found |= {f"{name}.{template['prefix']}{number}": template["input"] for number in range(template["max"])}
            continue
        found[name] = entry
        for option in entry.get("options", []):
            if isinstance(option, dict) and option["key"] == given.get(name):
                found |= {f"{name}.{inner['id']}": inner for inner in option["inputs"]}
    return found


def assert_fits(kind: str, values: Mapping[str, Any], known: Schemas) -> None:
    """Each value is one that the node takes."""
    assert kind in known, f"there is no node {kind}"
    inputs = offered(known[kind], values)
    for name, value in values.items():
        where = f"{kind}.{name} is {value!r}"
        assert name in inputs, f"{where}: no such input"
        described = inputs[name]
        if "options" in described:
            options = [option["key"] if isinstance(option, dict) else option for option in described["options"]]
            assert value in options, f"{where}, not one of {options}"
        else:
            assert isinstance(value, PYTHON[described["type"]]), where
            if described["type"] in ("INT", "FLOAT"):
                assert described.get("min", value) <= value <= described.get("max", value), where
