"""`locales/` in ComfyUI's own page: every name on every node in another language, and tooltips, in both renderers."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.server import ROOT

pytestmark = pytest.mark.host

QUICK_START = ROOT / "workflows" / "Attention prompt - quick start.json"
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


def open_in(page: ComfyPage, language: str, *, modern: bool) -> dict[str, Any]:
    """The page in a language, and what `locales/` says in it."""
    page.open(modern=modern, language=language)
    return json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))


def key(name: str) -> str:
    """How `locales/` writes the id of an input."""
    return name.replace(".", "_")


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_every_name_on_a_node_is_translated(page: ComfyPage, tmp_path: Path, language: str) -> None:
    words = open_in(page, language, modern=True)
    shown = page.page.evaluate(NAMES, "AttnPrompt")
    assert set(shown) == set(words)
    for node, names in shown.items():
        texts = words[node]
        assert names["title"] == texts["display_name"]
        assert names["outputs"] == [output["name"] for output in texts["outputs"].values()], node
        for name, label in (*names["inputs"].items(), *names["widgets"].items()):
            if name not in OF_THE_HOST:
                assert label == texts["inputs"][key(name)]["name"], f"{node}.{name}"
        later_sockets = {name for name in texts["inputs"] if name[-1].isdigit()}
        assert set(texts["inputs"]) - later_sockets <= {key(name) for name in names["inputs"]}, node
    page.load(json.loads(QUICK_START.read_text(encoding="utf-8")))
    page.page.wait_for_timeout(1500)
    page.screenshot(tmp_path / f"{language}.png")


@RENDERERS
def test_tooltips_of_widgets_are_translated(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    words = open_in(page, "ja", modern=modern)["AttnPromptOverlay"]["inputs"]
    page.page.evaluate(ONE_OVERLAY)
    page.page.wait_for_timeout(1000)
    for name in ("strength", "style.radius"):
        texts = words[key(name)]
        page.page.mouse.move(5, 600)
        if modern:
            page.page.locator("[data-node-id]").get_by_text(texts["name"], exact=True).first.hover()
        else:
            page.page.mouse.move(*page.page.evaluate(MIDDLE_OF_WIDGET, name), steps=4)
        page.page.locator("[role=tooltip], .node-tooltip").get_by_text(texts["tooltip"]).first.wait_for(timeout=10_000)
    page.screenshot(tmp_path / "tooltip.png")
