"""Small graphs built on ComfyUI's page as a user builds them, node by node."""

from typing import Any

from .browser import ComfyPage

BUILD = """([nodes, links]) => {
    const graph = window.app.graph;
    graph.clear();
    const made = {};
    for (const [name, type, at, values] of nodes) {
        const node = LiteGraph.createNode(type);
        node.pos = at;
        graph.add(node);
        made[name] = node;
        for (const widget of node.widgets ?? []) {
            if (widget.name === 'control_after_generate') widget.value = 'fixed';
        }
        for (const [key, value] of Object.entries(values)) {
            const widget = node.widgets.find((widget) => widget.name === key);
            widget.value = value;
            widget.callback?.(value, window.app.canvas, node);
        }
    }
    for (const [from, output, to, input] of links) {
        made[from].connect(made[from].findOutputSlot(output), made[to], made[to].findInputSlot(input));
    }
    return Object.fromEntries(Object.entries(made).map(([name, node]) => [name, String(node.id)]));
}"""

Node = tuple[str, str, tuple[int, int], dict[str, Any]]
Link = tuple[str, str, str, str]


def build(page: ComfyPage, nodes: list[Node], links: list[Link]) -> dict[str, str]:
    """Put nodes (name, type, place, values of widgets) and links (from, output, to, input) on an empty canvas.

    Seeds stay as given. Returns the nodes' ids by name.
    """
    return page.page.evaluate(BUILD, [nodes, links])
