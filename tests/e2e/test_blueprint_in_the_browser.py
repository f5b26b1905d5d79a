"""The subgraph blueprint in ComfyUI's own page: found in the node library, placed on the canvas, wired and run."""

import re

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage

pytestmark = pytest.mark.host

NAME = "Attention prompt"

WIRE = """() => {
    const graph = window.app.graph;
    const placed = graph.nodes.find((node) => node.subgraph);
    const scene = LiteGraph.createNode('AttnPromptDemoScene');
    const preview = LiteGraph.createNode('PreviewImage');
    const mask = LiteGraph.createNode('MaskPreview');
    for (const [n, node] of [scene, preview, mask].entries()) {
        graph.add(node);
        node.pos = [-500 + 1100 * Number(n > 0), 400 * n];
    }
    scene.widgets.find((widget) => widget.name === 'seed').value = 739;
    scene.connect(0, placed, placed.inputs.findIndex((input) => input.name === 'image'));
    placed.connect(placed.outputs.findIndex((output) => output.name === 'image'), preview, 0);
    placed.connect(placed.outputs.findIndex((output) => output.name === 'mask'), mask, 0);
    placed.widgets.find((widget) => widget.name === 'question').value = 'the yellow cross';
    return [preview, mask].map((node) => String(node.id));
}"""


@RENDERERS
def test_it_is_in_the_library_and_works_where_it_is_placed(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    page.page.keyboard.press("n")
    page.page.get_by_placeholder(re.compile("^Search( Nodes)?")).first.fill(NAME)  # the page's words vary
    entry = page.page.get_by_text(NAME, exact=True)
    entry.wait_for()
    entry.click()
    page.page.mouse.click(1200, 500)  # it sticks to the pointer until it is put down
    page.page.wait_for_function("() => window.app.graph.nodes.some((node) => node.subgraph)")

    outputs = page.page.evaluate(WIRE)
    prompt = page.prompt()
    kinds = [node["class_type"] for node in prompt.values()]
    assert kinds.count("AttnPromptCLIPHeatmap") == kinds.count("AttnPromptOverlay") == 1
    (heatmap,) = (node for node in prompt.values() if node["class_type"] == "AttnPromptCLIPHeatmap")
    assert heatmap["inputs"]["query"] == "the yellow cross"

    history = page.run()
    assert set(outputs) <= set(history["outputs"])
    page.wait_until_shown(set(outputs))
