"""The viewer on real pages, in both renderers: what a user sees, points at and drags."""

import itertools

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.faces import QUERY, Face, clip_graph
from pack.tests.e2e.graphs import build

pytestmark = pytest.mark.host

COUNT_FRAMES = """() => {
    const ask = window.requestAnimationFrame;
    window.askedFor = [];
    window.stopCounting = () => Object.assign(window, { requestAnimationFrame: ask });
    window.requestAnimationFrame = (callback) => {
        const where = new Error().stack;
        if (/attention[-_]prompting/.test(where)) window.askedFor.push(where);
        return ask.call(window, callback);
    };
}"""


@RENDERERS
def test_words_have_maps_of_their_own(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    ids = clip_graph(page, seed=31 + modern)
    face = Face(page, ids["view"])
    assert face.element.locator(".ap-note").text_content() == "Run to see the map."
    page.page.evaluate(COUNT_FRAMES)
    page.run()
    face.wait()
    assert face.shown == QUERY
    assert face.presence is not None
    assert face.element.locator(".ap-chip").all_text_contents() == list(dict.fromkeys(QUERY.split()))
    whole = face.pixels()

    face.chip("star").hover()
    assert face.shown == "star"
    star = face.pixels()
    assert star != whole
    page.page.mouse.move(5, 500)
    assert face.pixels() == whole

    face.chip("star").click()
    page.page.mouse.move(5, 500)
    assert (face.pressed(), face.pixels()) == (["star"], star)
    face.chip("circle").click(modifiers=["ControlOrMeta"])
    page.page.mouse.move(5, 500)
    assert face.pressed() == ["star", "circle"]
    assert face.shown == "star + circle"
    assert face.pixels() not in (star, whole)
    face.element.locator(".ap-clear").click()
    assert (face.pressed(), face.pixels()) == ([], whole)
    page.page.evaluate("() => window.stopCounting()")
    assert page.page.evaluate("() => window.askedFor") == []


@RENDERERS
def test_the_picture_answers_the_pointer(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    ids = clip_graph(page, seed=190)  # one star, and it is red
    page.run()
    face = Face(page, ids["view"]).wait()
    face.chip("star").click()
    peak = face.element.locator(".ap-peak").bounding_box()
    page.page.mouse.move(peak["x"] + peak["width"] / 2, peak["y"] + peak["height"] / 2)
    best, x, y = face.value()
    assert 0 <= x < 768
    assert 0 <= y < 512
    assert "star" in face.element.locator('.ap-chip[data-place="1"]').all_text_contents(), "its own word says most"
    frame = face.element.locator(".ap-frame").bounding_box()
    for right, down in itertools.product((0.1, 0.35, 0.6, 0.85), (0.2, 0.5, 0.8)):
        page.page.mouse.move(frame["x"] + right * frame["width"], frame["y"] + down * frame["height"])
        value, x, y = face.value()
        assert (x, y) == (pytest.approx(right * 768, abs=3), pytest.approx(down * 512, abs=3))
        assert value <= best, "the peak is marked where the map is strongest"
    page.page.mouse.move(5, 500)
    assert face.element.locator(".ap-value").text_content() == ""
    assert face.element.locator(".ap-chip[data-place]").count() == 0


@RENDERERS
def test_before_and_after(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    ids = clip_graph(page, seed=51 + modern)
    page.run()
    face = Face(page, ids["view"]).wait()
    frame = face.element.locator(".ap-frame").bounding_box()
    middle = frame["y"] + frame["height"] / 2
    page.page.mouse.move(frame["x"] + 3, middle)
    page.page.mouse.down()
    page.page.mouse.move(frame["x"] + frame["width"] / 2, middle, steps=6)
    page.page.mouse.up()
    assert face.view()["split"] == pytest.approx(50, abs=3)
    assert face.style("--split") == f"{face.view()['split']}%"
    face.element.locator(".ap-split").press("ArrowRight")
    assert face.style("--split") == f"{face.view()['split']}%"
    face.element.locator(".ap-opacity").fill("80")
    assert face.style("--opacity") == "0.8"
    before = face.pixels()
    face.element.locator("select").select_option("viridis")
    assert face.pixels() != before


@RENDERERS
def test_keys_alone_are_enough(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    ids = clip_graph(page, seed=61 + modern)
    page.run()
    face = Face(page, ids["view"]).wait()
    entries = len(page.server.get("/history"))
    face.chip("the").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    assert face.shown == "star"
    page.page.keyboard.press("Enter")
    assert face.pressed() == ["star"]
    page.page.keyboard.press("End")
    page.page.keyboard.press("Control+Enter")
    assert face.pressed() == ["star", "circle"]
    page.page.keyboard.press("ArrowLeft")
    page.page.keyboard.press("Shift+Enter")
    assert face.pressed() == ["star", "blue", "circle"]
    page.page.keyboard.press("Escape")
    assert face.pressed() == []
    page.page.wait_for_timeout(500)
    assert len(page.server.get("/history")) == entries, "Control+Enter, which runs a workflow, stayed in the viewer"


@RENDERERS
def test_batches_and_masks(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    ids = build(
        page,
        [
            ("one", "AttnPromptDemoScene", (20, 60), {"seed": 111 + modern}),
            ("two", "AttnPromptDemoScene", (20, 360), {"seed": 121 + modern}),
            ("batch", "ImageBatch", (400, 60), {}),
            ("clip", "AttnPromptLoadCLIP", (400, 260), {}),
            ("heatmap", "AttnPromptCLIPHeatmap", (750, 60), {"query": "star"}),
            ("mask", "AttnPromptTuneMask", (750, 700), {}),
            ("view", "AttnPromptView", (1180, 60), {}),
        ],
        [
            ("one", "image", "batch", "image1"),
            ("two", "image", "batch", "image2"),
            ("batch", "IMAGE", "heatmap", "image"),
            ("clip", "clip", "heatmap", "clip"),
            ("heatmap", "heatmap", "mask", "heatmap"),
            ("batch", "IMAGE", "view", "image"),
            ("mask", "mask", "view", "map"),
        ],
    )
    page.run()
    face = Face(page, ids["view"]).wait()
    assert face.shown == "mask"
    assert face.element.locator(".ap-chip").count() == 0
    pages = face.element.locator(".ap-pages")
    assert "1 / 2" in pages.text_content()
    first, picture = face.pixels(), face.element.locator(".ap-picture").get_attribute("src")
    pages.locator("button").last.click()
    assert "2 / 2" in pages.text_content()
    assert face.pixels() != first
    assert face.element.locator(".ap-picture").get_attribute("src") != picture

    inset = Face(page, ids["heatmap"]).wait()
    height = page.page.evaluate("(id) => window.app.graph.getNodeById(id).size[1]", ids["heatmap"])
    inset.element.locator(".ap-fold").click()
    assert not inset.element.locator(".ap-frame").is_visible()
    page.page.wait_for_timeout(500)
    assert page.page.evaluate("(id) => window.app.graph.getNodeById(id).size[1]", ids["heatmap"]) < height - 200
