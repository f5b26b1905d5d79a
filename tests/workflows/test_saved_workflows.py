"""Workflows saved with earlier versions still fit the nodes; `tools/workflows/shipped.py --keep` adds a release's."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.tests.promised import schemas

from .own_nodes import PACK_PREFIX, assert_fits, nodes_of, offered, saved_values

ROOT = Path(__file__).resolve().parents[2]
SAVED = sorted((ROOT / "tests" / "workflows" / "saved").glob("*/*.json"))
SHIPPED = sorted([*(ROOT / "workflows").glob("*.json"), *(ROOT / "subgraphs").glob("*.json")])
KNOWN = schemas()


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_is_kept_covers_the_first_version():
    assert len([path for path in SAVED if path.parent.name == "0.1.0"]) >= 5


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_values_of_what_ships_fit_the_nodes(path: Path):
    nodes = list(nodes_of(read(path)))
    assert nodes
    for node in nodes:
        assert_fits(node["type"], saved_values(node), KNOWN)


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name} {path.stem}")
class TestSaved:
    def test_a_prompt_made_then_fits_the_nodes_now(self, path: Path):
        """An API user has no page that fills in what was appended since: each input that is required is there."""
        own = [node for node in read(path)["prompt"].values() if node["class_type"].startswith(PACK_PREFIX)]
        assert own
        for node in own:
            kind, given = node["class_type"], node["inputs"]
            assert_fits(kind, {name: value for name, value in given.items() if not isinstance(value, list)}, KNOWN)
            inputs = offered(KNOWN[kind], given)
            required = {entry["id"] for entry in KNOWN[kind]["inputs"] if not entry.get("optional")} & set(inputs)
            assert required <= set(given), f"{kind} now asks for {required - set(given)}"

    def test_saved_values_stand_where_they_stood(self, path: Path):
        """By position the values mean what the page took them for when it saved them."""
        saved = read(path)
        for node in nodes_of(saved["workflow"]):
            then = saved["prompt"][str(node["id"])]["inputs"]
            linked = {name for name, value in then.items() if isinstance(value, list)}
            assert {k: v for k, v in saved_values(node).items() if k not in linked} == {
                name: value for name, value in then.items() if name not in linked
            }
