"""What a user chose in the viewer is found again: after a change of tab, a reload, a copy, in a subgraph.

What it showed, and whose file is gone, it says."""

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.faces import QUERY, Face, clip_graph

pytestmark = pytest.mark.host


@RENDERERS
def test_the_view_survives_and_lost_files_say_so(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    ids = clip_graph(page, seed=71 + modern)
    page.run()
    face = Face(page, ids["view"]).wait()
    face.chip("star").click()
    face.element.locator("select").select_option("viridis")
    page.page.mouse.move(5, 500)
    star = face.pixels()

    page.command("Comfy.NewBlankWorkflow")
    page.page.wait_for_function("() => window.app.graph.nodes.length === 0")
    page.command("Workspace.PreviousOpenedWorkflow")
    page.page.wait_for_function("() => window.app.graph.nodes.length === 4")
    face = Face(page, ids["view"]).wait()
    assert (face.pressed(), face.pixels()) == (["star"], star), "a change of tab"

    reload(page, nodes=4)
    face = Face(page, ids["view"]).wait()
    assert (face.pressed(), face.pixels()) == (["star"], star), "a reload"
    inset = Face(page, ids["heatmap"]).wait()
    assert inset.shown == QUERY

    copy = page.page.evaluate(
        """(id) => {
            const { canvas } = window.app;
            canvas.selectItems([canvas.graph.getNodeById(id)]);
            canvas.copyToClipboard();
            canvas.pasteFromClipboard({ connectInputs: true });
            return String(canvas.graph.nodes.at(-1).id);
        }""",
        ids["view"],
    )
    page.run()
    other = Face(page, copy).wait()
    assert (other.pressed(), other.pixels()) == (["star"], star), "a copy"
    other.chip("star").click()
    page.page.mouse.move(5, 500)
    assert other.pressed() == []
    assert face.pressed() == ["star"], "the copy has a view of its own"

    for file in (page.server.base / "temp" / "attention_prompting").iterdir():
        file.unlink()
    reload(page, nodes=5)
    note = Face(page, ids["view"]).element.locator(".ap-note")
    note.wait_for(state="visible")
    page.page.wait_for_function("(note) => note.textContent.includes('Run once')", arg=note.element_handle())
    page.server.free()
    page.run()
    face = Face(page, ids["view"]).wait()
    assert face.shown == "star", "the run wrote the same files anew"


def reload(page: ComfyPage, nodes: int) -> None:
    page.page.wait_for_timeout(1500)  # ComfyUI keeps what is on the canvas a moment after it has changed
    page.load_page()
    page.page.wait_for_function("(count) => window.app.graph.nodes.length === count", arg=nodes)


@RENDERERS
def test_inside_a_subgraph(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    ids = clip_graph(page, seed=91 + modern)
    page.page.evaluate(
        """(ids) => {
            const { graph } = window.app;
            graph.convertToSubgraph(new Set(ids.map((id) => graph.getNodeById(id))));
        }""",
        [ids["heatmap"], ids["view"]],
    )
    page.run()
    page.page.evaluate(
        """() => {
            const { canvas, graph } = window.app;
            const outer = graph.nodes.find((node) => node.subgraph);
            canvas.openSubgraph(outer.subgraph, outer);
        }"""
    )
    inner = page.page.evaluate(
        "() => String(window.app.canvas.graph.nodes.find(({ type }) => type === 'AttnPromptView').id)"
    )
    face = Face(page, inner).wait()
    face.chip("star").hover()
    assert face.shown == "star"
