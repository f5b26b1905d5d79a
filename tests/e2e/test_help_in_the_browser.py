"""Each node's help page in ComfyUI's own panel, with its picture, in both renderers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pack.tests.e2e import browser
from pack.tests.e2e.browser import ComfyPage
from pack.tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.host

PAGES = sorted((ROOT / "web" / "docs").glob("*.md"))

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


@pytest.fixture
def page(comfyui: Server) -> Iterator[ComfyPage]:
    reason = browser.why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN, the help pages were not looked at in a browser: {reason}")
    with browser.opened(comfyui) as opened:
        yield opened


@pytest.mark.parametrize("modern", [False, True], ids=["classic", "modern"])
def test_the_panel_shows_every_page_with_its_picture(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.page.keyboard.press("Escape")  # a first visit opens the templates over the graph
    for path in PAGES:
        page.page.evaluate(CHOOSE, path.stem)
        panel = page.page.locator(PANEL)
        if not panel.is_visible():
            page.page.get_by_test_id("info-button").click()
        heading = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        panel.get_by_role("heading", name=heading, exact=True).wait_for()
        picture = panel.locator(f"img[src$='/docs/pictures/{path.stem}.webp']")
        picture.wait_for()
        width = picture.evaluate("async (shown) => { await shown.decode(); return shown.naturalWidth; }")
        assert width > 300, f"{path.stem}: the picture is {width} pixels wide"
        assert panel.get_by_role("heading", name="Common mistakes").count() == 1
        page.screenshot(tmp_path / f"{path.stem}.png")
    assert not page.errors
