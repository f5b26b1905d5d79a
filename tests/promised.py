"""What the nodes promise (`nodes/schemas.json`), and values that their inputs take: for tests of all there are."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).resolve().parent / "nodes" / "schemas.json"

Input = Mapping[str, Any]


def schemas() -> dict[str, dict[str, Any]]:
    """Every node of the pack by its id, in the order in which they are offered."""
    return json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def inputs(node: str) -> dict[str, Input]:
    """What a node takes, by id."""
    return {given["id"]: given for given in schemas()[node]["inputs"]}


def some_value(given: Input, chance: random.Random) -> Any:
    """A value that a widget takes; of a number, one in the first tenth from the default to the maximum."""
    if "options" in given:
        return chance.choice(given["options"])
    kind, default = given["type"], given.get("default")
    if kind == "BOOLEAN":
        return chance.random() < 0.5
    if kind == "COLOR":
        return f"#{chance.randrange(1 << 24):06x}"
    if kind in ("INT", "FLOAT"):
        value = default + chance.random() * (given["max"] - default) / 10
        return round(value) if kind == "INT" else value
    raise ValueError(f"{given['id']}: no values are known for an input of type {kind}")


def some_choices(node: str, name: str, chance: random.Random) -> list[dict[str, Any]]:
    """Of a dynamic combo every option with values for its own inputs: {name: option, input: value, ...}."""
    return [
        {name: option["key"], **{inner["id"]: some_value(inner, chance) for inner in option["inputs"]}}
        for option in inputs(node)[name]["options"]
    ]
