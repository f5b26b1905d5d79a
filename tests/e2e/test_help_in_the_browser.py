"""Each node's help page in ComfyUI's own panel, with its picture if it has one, in both renderers."""

import re
from pathlib import Path

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.server import ROOT

pytestmark = pytest.mark.host

DOCS = ROOT / "web" / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PATIENCE_MS = 90_000

# One node alone on the canvas, chosen as a click does.
CHOOSE = """(type) => {
    const { canvas, graph } = window.app;
    graph.clear();
    const node = LiteGraph.createNode(type);
    node.pos = [100, 100];
    graph.add(node);
    canvas.ds.scale = 1;
    canvas.ds.offset = [300, 250];
    canvas.selectNode(node);
    canvas.setDirty(true, true);
}"""
PANEL = ".node-help-content"


@RENDERERS
def test_the_panel_shows_every_page_with_its_picture(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    for path in PAGES:
        assert_help_shown(page, path.stem, path)


def assert_help_shown(page: ComfyPage, node: str, path: Path) -> None:
    """The panel shows that file, all of it, with the picture of the node."""
    page.page.set_default_timeout(PATIENCE_MS)
    page.page.evaluate(CHOOSE, node)
    panel = page.page.locator(PANEL)
    if not panel.is_visible():
        page.page.get_by_test_id("info-button").click()
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    panel.get_by_role("heading", name=headings[0], exact=True).wait_for()
    assert panel.get_by_role("heading").all_inner_texts() == headings
    if f"{node}.webp" not in text:
        return
    picture = panel.locator(f"img[src$='/docs/pictures/{node}.webp']")
    picture.wait_for()
    width = picture.evaluate("async (shown) => { await shown.decode(); return shown.naturalWidth; }")
    assert width > 300, f"{node}: the picture is {width} pixels wide"
