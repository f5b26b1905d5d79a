"""Ids, inputs, their order and types are a promise to saved workflows; every node explains itself.

After a change that keeps the promise (something appended), renew the snapshot with ATTENTION_PROMPTING_UPDATE=1.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pack.tests.nodes.describe import all_inputs, describe
from pack.tests.promised import SNAPSHOT, schemas
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "web" / "docs" / "pictures"
WEIGHT_OF_PICTURES = 600_000


NODES = tuple(schemas())


@pytest.mark.both_hosts
def test_schemas_are_as_promised(classes: dict[str, Any]) -> None:
    found = json.loads(json.dumps({name: describe(node.define_schema()) for name, node in classes.items()}))
    if os.environ.get("ATTENTION_PROMPTING_UPDATE") == "1":
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    assert found == schemas(), "appended on purpose? Then ATTENTION_PROMPTING_UPDATE=1 renews the snapshot"
    assert list(found) == list(schemas()), "the order of the nodes"


@pytest.mark.parametrize("name", NODES)
class TestNode:
    def test_explains_itself(self, classes: dict[str, Any], name: str) -> None:
        schema = classes[name].define_schema()
        assert schema.category == "attention prompting"
        assert len(schema.description) > 20
        assert "attention prompting" in schema.search_aliases
        for part in (*all_inputs(schema), *schema.outputs):
            assert part.tooltip, f"{part.id} has no tooltip"
            assert part.tooltip.endswith("."), f"{part.id}: {part.tooltip}"

    def test_defaults_are_offered(self, classes: dict[str, Any], name: str) -> None:
        for given in all_inputs(classes[name].define_schema()):
            default = getattr(given, "default", None)
            if default is not None and getattr(given, "min", None) is not None:
                assert given.min <= default <= given.max, given.id
            if default is not None and getattr(given, "options", None) is not None:
                assert default in given.options, given.id

    def test_has_a_help_page_with_every_input(self, classes: dict[str, Any], name: str) -> None:
        page, schema = help_page(name), classes[name].define_schema()
        assert page.startswith(f"# {schema.display_name}\n")
        headings = re.findall(r"^## .*$", page, re.MULTILINE)
        assert len(set(headings)) == len(headings)
        assert {"## When to use it", "## Inputs", "## Output", "## Common mistakes"} <= {*headings}
        appearing = [given.template.input for given in schema.inputs if getattr(given, "template", None) is not None]
        for part in (*all_inputs(schema), *schema.outputs):
            if part not in appearing:  # their group is explained
                assert f"**{part.display_name or part.id}**" in page, f"{part.id} is not explained"

    def test_the_picture_of_its_help_page(self, classes: dict[str, Any], name: str) -> None:
        """It takes a ComfyUI and a browser to make, so only a release needs one of every node."""
        if name not in pictured():
            pytest.skip("no picture yet: `python tools/workflows/help_pictures.py` takes it before a release")
        shown = rf"!\[.*{re.escape(title(classes[name]))}.*\]\({PICTURES.name}/{name}\.webp\)"
        assert re.search(shown, help_page(name).split("\n## ")[0])
        with Image.open(PICTURES / f"{name}.webp") as picture:
            assert 300 <= picture.width <= 900

    def test_dynamic_input_is_last(self, classes: dict[str, Any], name: str) -> None:
        kinds = [given.get_io_type() for given in classes[name].define_schema().inputs]
        assert not any(kind.startswith("COMFY_DYNAMIC") for kind in kinds[:-1])


def title(node: Any) -> str:
    """A node's name without the pack's in brackets."""
    return node.define_schema().display_name.split(" (")[0]


def help_page(name: str) -> str:
    return (ROOT / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")


def pictured() -> set[str]:
    """The nodes whose help page has a picture, or shows one."""
    return {path.stem for path in PICTURES.iterdir()} | {name for name in NODES if f"{name}.webp" in help_page(name)}


def test_every_help_page_and_picture_belongs_to_a_node() -> None:
    assert {page.stem for page in (ROOT / "web" / "docs").glob("*.md")} == set(NODES)
    assert pictured() <= set(NODES)
    assert sum(picture.stat().st_size for picture in PICTURES.iterdir()) < WEIGHT_OF_PICTURES


@pytest.mark.release
def test_every_help_page_has_a_picture() -> None:
    assert pictured() == set(NODES)
