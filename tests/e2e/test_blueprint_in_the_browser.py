"""The subgraph blueprints in ComfyUI's own page: found in the node library, placed on the canvas, wired and run."""

import re

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage

pytestmark = pytest.mark.host

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


WIRE_ANSWER = """() => {
    const graph = window.app.graph;
    const placed = graph.nodes.find((node) => node.subgraph);
    const scene = LiteGraph.createNode('AttnPromptDemoScene');
    graph.add(scene);
    scene.pos = [-500, 0];
    for (const [name, value] of Object.entries({ width: 1280, height: 512, objects: 6, seed: 43 }))
        scene.widgets.find((widget) => widget.name === name).value = value;
    scene.connect(0, placed, placed.inputs.findIndex((input) => input.name === 'image'));
    placed.widgets.find((widget) => widget.name === 'question').value = 'What colour is the star?';
    const shown = {};
    for (const [n, name] of ['answer', 'confidence', 'which', 'image'].entries()) {
        const node = LiteGraph.createNode(name === 'image' ? 'PreviewImage' : 'PreviewAny');
        graph.add(node);
        node.pos = [700, 300 * n];
        placed.connect(placed.outputs.findIndex((output) => output.name === name), node, 0);
        shown[name] = String(node.id);
    }
    return shown;
}"""


def place(page: ComfyPage, name: str, modern: bool) -> None:
    page.open(modern=modern)
    page.page.keyboard.press("n")
    page.page.get_by_placeholder(re.compile("^Search( Nodes)?")).first.fill(name)  # the page's words vary
    entry = page.page.get_by_text(name, exact=True)
    entry.wait_for()
    entry.click()
    page.page.mouse.click(1200, 500)  # it sticks to the pointer until it is put down
    page.page.wait_for_function("() => window.app.graph.nodes.some((node) => node.subgraph)")


@RENDERERS
def test_the_prompt_is_in_the_library_and_works_where_it_is_placed(page: ComfyPage, modern: bool) -> None:
    place(page, "Attention prompt", modern)
    outputs = page.page.evaluate(WIRE)
    prompt = page.prompt()
    kinds = [node["class_type"] for node in prompt.values()]
    assert kinds.count("AttnPromptCLIPHeatmap") == kinds.count("AttnPromptOverlay") == 1
    (heatmap,) = (node for node in prompt.values() if node["class_type"] == "AttnPromptCLIPHeatmap")
    assert heatmap["inputs"]["query"] == "the yellow cross"

    history = page.run()
    assert set(outputs) <= set(history["outputs"])
    page.wait_until_shown(set(outputs))


@RENDERERS
def test_the_better_answer_is_in_the_library_and_answers(page: ComfyPage, modern: bool) -> None:
    place(page, "Better answer", modern)
    shown = page.page.evaluate(WIRE_ANSWER)
    given = {node["class_type"]: node["inputs"] for node in page.prompt().values()}
    assert given["AttnPromptCLIPHeatmap"]["query"] == given["AttnPromptSurerAnswer"]["question"]
    assert given["AttnPromptOverlay"]["style"] == "magnify"
    history = page.run()
    said = {name: history["outputs"][key].get("text", [""])[0] for name, key in shown.items()}
    assert said["answer"] == "green"
    assert said["which"] == "1"
    assert float(said["confidence"]) > 0.99
    page.wait_until_shown(set(shown.values()))
