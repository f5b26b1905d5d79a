"""The viewer on real pages, in both renderers: what a user sees, points at, drags, picks, and finds again."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pack.tests.e2e import browser
from pack.tests.e2e.browser import ComfyPage
from pack.tests.e2e.graphs import build
from pack.tests.e2e.server import Server

pytestmark = pytest.mark.host

QUERY = "the red star and the blue circle"
FACE = ".ap-viewer"
COUNT_FRAMES = """() => {
    const ask = window.requestAnimationFrame;
    window.askedFor = [];
    window.requestAnimationFrame = (callback) => {
        const where = new Error().stack;
        if (/attention[-_]prompting/.test(where)) window.askedFor.push(where);
        return ask.call(window, callback);
    };
}"""


@pytest.fixture
def page(comfyui: Server) -> Iterator[ComfyPage]:
    reason = browser.why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN, the viewer was not tried in a browser: {reason}")
    with browser.opened(comfyui) as opened:
        yield opened
        assert not opened.errors


def clip_graph(page: ComfyPage, *, seed: int, query: str = QUERY) -> dict[str, str]:
    return build(
        page,
        [
            ("scene", "AttnPromptDemoScene", (20, 60), {"seed": seed}),
            ("clip", "AttnPromptLoadCLIP", (20, 360), {}),
            ("heatmap", "AttnPromptCLIPHeatmap", (400, 60), {"query": query}),
            ("view", "AttnPromptView", (850, 60), {}),
        ],
        [
            ("scene", "image", "heatmap", "image"),
            ("clip", "clip", "heatmap", "clip"),
            ("scene", "image", "view", "image"),
            ("heatmap", "heatmap", "view", "map"),
        ],
    )


class Face:
    """The viewer on one node, as the page shows it."""

    def __init__(self, page: ComfyPage, node: str) -> None:
        self.page = page.page
        self.node = node
        self.page.evaluate(
            """(id) => {
                const { widgets } = window.app.canvas.graph.getNodeById(id);
                const widget = widgets.find(({ name }) => name === 'attention_view');
                widget.element.dataset.node = id;
            }""",
            node,
        )
        self.element = self.page.locator(f'{FACE}[data-node="{node}"]')

    def wait(self) -> "Face":
        self.element.locator(".ap-frame").wait_for(state="visible", timeout=60_000)
        self.page.wait_for_function(
            "(id) => document.querySelector(`[data-node='${id}'] .ap-picture`).naturalWidth > 0", arg=self.node
        )
        return self

    def chip(self, text: str) -> Any:
        return self.element.locator(".ap-chip", has_text=re.compile(f"^{text}$")).first

    def pressed(self) -> list[str]:
        return self.element.locator('.ap-chip[aria-pressed="true"]').all_text_contents()

    @property
    def shown(self) -> str:
        return self.element.locator(".ap-shown").text_content()

    def value(self) -> tuple[float, int, int]:
        """What stands under the pointer: the map's value, and the picture's pixel."""
        text = self.element.locator(".ap-value").text_content()
        value, x, y = re.fullmatch(r"(\d\.\d\d) at (\d+), (\d+)", text).groups()
        return float(value), int(x), int(y)

    def pixels(self) -> str:
        return self.element.locator("canvas").evaluate("(canvas) => canvas.toDataURL()")

    def style(self, name: str) -> str:
        return self.element.locator(".ap-frame").evaluate("(frame, name) => frame.style.getPropertyValue(name)", name)

    def view(self) -> dict[str, Any]:
        return self.page.evaluate(
            "(id) => window.app.canvas.graph.getNodeById(id).properties.attention_view ?? {}", self.node
        )


def run(page: ComfyPage) -> None:
    history = page.run()
    assert history["status"]["status_str"] == "success", history["status"]


RENDERERS = pytest.mark.parametrize("modern", [False, True], ids=["classic", "modern"])


@RENDERERS
def test_words_have_maps_of_their_own(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
    ids = clip_graph(page, seed=31 + modern)
    face = Face(page, ids["view"])
    assert face.element.locator(".ap-note").text_content() == "Run to see the map."
    page.screenshot(tmp_path / "before.png")
    page.page.evaluate(COUNT_FRAMES)
    run(page)
    face.wait()
    page.screenshot(tmp_path / "ran.png")
    assert face.shown == QUERY
    assert face.element.locator(".ap-chip").all_text_contents() == list(dict.fromkeys(QUERY.split()))
    whole = face.pixels()

    face.chip("star").hover()
    assert face.shown == "star"
    star = face.pixels()
    assert star != whole
    page.screenshot(tmp_path / "hover.png")
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
    page.screenshot(tmp_path / "pinned.png")
    face.element.locator(".ap-clear").click()
    assert (face.pressed(), face.pixels()) == ([], whole)
    assert page.page.evaluate("() => window.askedFor") == []


@RENDERERS
def test_the_picture_answers_the_pointer(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
    ids = clip_graph(page, seed=190)  # one star, and it is red
    run(page)
    face = Face(page, ids["view"]).wait()
    face.chip("star").click()
    peak = face.element.locator(".ap-peak").bounding_box()
    page.page.mouse.move(peak["x"] + peak["width"] / 2, peak["y"] + peak["height"] / 2)
    best, x, y = face.value()
    assert 0 <= x < 768
    assert 0 <= y < 512
    assert "star" in face.element.locator('.ap-chip[data-place="1"]').all_text_contents(), "its own word says most"
    page.screenshot(tmp_path / "pointed.png")
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
def test_before_and_after(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
    ids = clip_graph(page, seed=51 + modern)
    run(page)
    face = Face(page, ids["view"]).wait()
    frame = face.element.locator(".ap-frame").bounding_box()
    middle = frame["y"] + frame["height"] / 2
    page.page.mouse.move(frame["x"] + 3, middle)
    page.page.mouse.down()
    page.page.mouse.move(frame["x"] + frame["width"] / 2, middle, steps=6)
    page.page.mouse.up()
    assert face.view()["split"] == pytest.approx(50, abs=3)
    assert face.style("--split") == f"{face.view()['split']}%"
    page.screenshot(tmp_path / "split.png")
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
    page.dismiss()
    ids = clip_graph(page, seed=61 + modern)
    run(page)
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
def test_the_view_survives(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
    ids = clip_graph(page, seed=71 + modern)
    run(page)
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

    page.page.wait_for_timeout(1500)  # ComfyUI keeps what is on the canvas a moment after it has changed
    page.open(modern=modern)
    page.page.wait_for_function("() => window.app.graph.nodes.length === 4")
    face = Face(page, ids["view"]).wait()
    assert (face.pressed(), face.pixels()) == (["star"], star), "a reload"
    inset = Face(page, ids["heatmap"]).wait()
    assert inset.shown == QUERY
    page.screenshot(tmp_path / "reloaded.png")

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
    run(page)
    other = Face(page, copy).wait()
    assert (other.pressed(), other.pixels()) == (["star"], star), "a copy"
    other.chip("star").click()
    page.page.mouse.move(5, 500)
    assert other.pressed() == []
    assert face.pressed() == ["star"], "the copy has a view of its own"


@RENDERERS
def test_lost_files_say_so(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
    ids = clip_graph(page, seed=81 + modern)
    run(page)
    Face(page, ids["view"]).wait()
    page.page.wait_for_timeout(1500)
    for file in (page.server.base / "temp" / "attention_prompting").iterdir():
        file.unlink()
    page.open(modern=modern)
    page.page.wait_for_function("() => window.app.graph.nodes.length === 4")
    note = Face(page, ids["view"]).element.locator(".ap-note")
    note.wait_for(state="visible")
    page.page.wait_for_function("(note) => note.textContent.includes('Run once')", arg=note.element_handle())

    page.server.post("/free", {"free_memory": True})
    page.page.wait_for_timeout(1500)  # the server forgets between two prompts
    run(page)
    face = Face(page, ids["view"]).wait()
    assert face.shown == QUERY, "the run wrote the same files anew"


@RENDERERS
def test_inside_a_subgraph(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
    ids = clip_graph(page, seed=91 + modern)
    page.page.evaluate(
        """(ids) => {
            const { graph } = window.app;
            graph.convertToSubgraph(new Set(ids.map((id) => graph.getNodeById(id))));
        }""",
        [ids["heatmap"], ids["view"]],
    )
    run(page)
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
    page.screenshot(tmp_path / "subgraph.png")


@RENDERERS
def test_hint_words_are_picked(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
    ids = build(
        page,
        [
            ("scene", "AttnPromptDemoScene", (20, 60), {"seed": 101 + modern}),
            ("lvlm", "AttnPromptLoadLVLM", (20, 360), {}),
            ("heatmap", "AttnPromptLVLMHeatmap", (420, 60), {"question": "describe the picture."}),
            ("answer", "PreviewAny", (900, 60), {}),
        ],
        [
            ("scene", "image", "heatmap", "image"),
            ("lvlm", "lvlm", "heatmap", "lvlm"),
            ("heatmap", "answer", "answer", "source"),
        ],
    )
    run(page)
    face = Face(page, ids["heatmap"]).wait()
    page.screenshot(tmp_path / "answer.png")
    chips = face.element.locator(".ap-group:has-text('answer') ~ .ap-chip").all_text_contents()
    first, last = chips[0], chips[-1]

    def hints() -> str:
        return page.page.evaluate(
            "(id) => window.app.graph.getNodeById(id).widgets.find(({name}) => name === 'hint_words').value",
            ids["heatmap"],
        )

    answer = face.element.locator(".ap-group:has-text('answer') ~ .ap-chip")
    answer.last.click()
    page.page.mouse.move(5, 500)
    assert hints() == last
    assert face.pressed() == [chip for chip in chips if chip == last]
    answer.first.click()
    assert hints() == (f"{last}, {first}" if first != last else "")
    page.page.mouse.move(5, 500)
    page.page.wait_for_timeout(300)
    page.screenshot(tmp_path / "picked.png")

    page.page.keyboard.press("Control+z")
    page.page.wait_for_timeout(1500)  # the page loads its graph anew
    assert hints() == last
    face = Face(page, ids["heatmap"]).wait()
    assert set(face.pressed()) == {last}, "an undo"

    page.set_widget("AttnPromptLVLMHeatmap", "hint_words", ", ".join(chips[:2]))
    assert set(face.pressed()) == set(chips[:2]), "what is typed"
    run(page)
    assert page.prompt()[ids["heatmap"]]["inputs"]["hint_words"] == ", ".join(chips[:2])


@RENDERERS
def test_batches_and_masks(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.dismiss()
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
    run(page)
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
    page.screenshot(tmp_path / "page.png")

    inset = Face(page, ids["heatmap"]).wait()
    height = page.page.evaluate("(id) => window.app.graph.getNodeById(id).size[1]", ids["heatmap"])
    inset.element.locator(".ap-fold").click()
    assert not inset.element.locator(".ap-frame").is_visible()
    page.page.wait_for_timeout(500)
    assert page.page.evaluate("(id) => window.app.graph.getNodeById(id).size[1]", ids["heatmap"]) < height - 200
    page.screenshot(tmp_path / "folded.png")
