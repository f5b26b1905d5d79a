"""`locales/` in ComfyUI's own page: names on every node, tooltips and help in another language, in both renderers."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.server import ROOT
from pack.tests.e2e.test_help_in_the_browser import assert_help_shown

pytestmark = pytest.mark.host

LOCALES = ROOT / "locales"
OF_THE_HOST = {"control_after_generate"}

# Every node of this pack, and every option of its dynamic combos, as the page names them.
NAMES = """(prefix) => {
    const named = (slots) => Object.fromEntries(slots.map((slot) => [slot.name, slot.label ?? slot.localized_name]));
    const found = {};
    for (const [type, { nodeData }] of Object.entries(LiteGraph.registered_node_types)) {
        if (!type.startsWith(prefix)) continue;
        const node = LiteGraph.createNode(type);
        window.app.graph.add(node);
        const shown = { title: node.title, inputs: {}, widgets: {} };
        const look = () => {
            Object.assign(shown.inputs, named(node.inputs));
            const owned = node.widgets?.filter((widget) => node.inputs.some((input) => input.name === widget.name));
            Object.assign(shown.widgets, named(owned ?? []));
        };
        look();
        const inputs = { ...nodeData.input.required, ...nodeData.input.optional };
        for (const [name, [kind, options]] of Object.entries(inputs)) {
            if (kind !== 'COMFY_DYNAMICCOMBO_V3') continue;
            for (const option of options.options) {
                node.widgets.find((widget) => widget.name === name).value = option.key;
                look();
            }
        }
        shown.outputs = node.outputs.map((output) => output.label ?? output.localized_name);
        found[type] = shown;
        window.app.graph.remove(node);
    }
    return found;
}"""

# One large node at the page's top left, its dynamic combo on another choice than at first.
ONE_OVERLAY = """() => {
    const canvas = window.app.canvas;
    window.app.graph.clear();
    canvas.ds.scale = 1.5;
    canvas.ds.offset = [0, 0];
    const node = LiteGraph.createNode('AttnPromptOverlay');
    node.pos = [200, 150];
    window.app.graph.add(node);
    node.widgets.find((widget) => widget.name === 'style').value = 'blur';
    canvas.setDirty(true, true);
}"""

MIDDLE_OF_WIDGET = """(name) => {
    const canvas = window.app.canvas;
    const [node] = window.app.graph.nodes;
    const widget = node.widgets.find((widget) => widget.name === name);
    const { left, top } = canvas.canvas.getBoundingClientRect();
    const { scale, offset } = canvas.ds;
    return [
        left + (node.pos[0] + node.size[0] / 3 + offset[0]) * scale,
        top + (node.pos[1] + (widget.last_y ?? widget.y) + 10 + offset[1]) * scale,
    ];
}"""


def key(name: str) -> str:
    """How `locales/` writes the id of an input."""
    return name.replace(".", "_")


def assert_named(page: ComfyPage, words: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Every name on every node is that of `words`, or the node's own (`known`) where they lack it."""
    shown = page.page.evaluate(NAMES, "AttnPrompt")
    assert set(shown) == {node for node in known if node.startswith("AttnPrompt")}
    for node, names in shown.items():
        texts, own = words.get(node, {}), known[node]
        assert names["title"] == texts.get("display_name", own["display_name"])
        outputs = texts.get("outputs", {})
        assert names["outputs"] == [
            outputs.get(str(number), {}).get("name", name) for number, name in enumerate(own["output_name"])
        ], node
        inputs = texts.get("inputs", {})
        for name, label in (*names["inputs"].items(), *names["widgets"].items()):
            if name not in OF_THE_HOST:
                own_name = offered(own, name).get("display_name", name.split(".")[-1])
                assert label == inputs.get(key(name), {}).get("name", own_name), f"{node}.{name}"
        later_sockets = {name for name in inputs if name[-1].isdigit()}
        assert set(inputs) - later_sockets <= {key(name) for name in names["inputs"]}, node


def offered(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What ComfyUI's server says of an input that a new node has; nothing of one that appears later."""
    inputs = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
    return inputs[name][1] if name in inputs and len(inputs[name]) > 1 else {}


def read(language: str) -> dict[str, Any]:
    return json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))


def test_english_is_what_the_nodes_say(page: ComfyPage) -> None:
    page.open(modern=False)
    assert_named(page, read("en"), page.server.get("/object_info"))


@RENDERERS
def test_names_tooltips_and_help_are_translated(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern, language="ja")
    words = read("ja")
    assert_named(page, words, page.server.get("/object_info"))
    page.page.evaluate(ONE_OVERLAY)
    page.page.wait_for_timeout(1000)
    for name in ("strength", "style.radius"):
        texts = words["AttnPromptOverlay"]["inputs"][key(name)]
        page.page.mouse.move(5, 600)
        if modern:
            page.page.locator("[data-node-id]").get_by_text(texts["name"], exact=True).first.hover()
        else:
            page.page.mouse.move(*page.page.evaluate(MIDDLE_OF_WIDGET, name), steps=4)
        page.page.locator("[role=tooltip], .node-tooltip").get_by_text(texts["tooltip"]).first.wait_for(timeout=10_000)
    assert_help_shown(page, "AttnPromptOverlay", ROOT / "web" / "docs" / "AttnPromptOverlay" / "ja.md")
