"""Hint words are picked by a click on the words of an answer, and stay ordinary text."""

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.faces import Face
from pack.tests.e2e.graphs import build

pytestmark = pytest.mark.host


@RENDERERS
def test_hint_words_are_picked(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
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
    page.run()
    face = Face(page, ids["heatmap"]).wait()
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

    page.page.keyboard.press("Control+z")
    page.page.wait_for_timeout(1500)  # the page loads its graph anew
    assert hints() == last
    face = Face(page, ids["heatmap"]).wait()
    assert set(face.pressed()) == {last}, "an undo"

    page.set_widget("AttnPromptLVLMHeatmap", "hint_words", ", ".join(chips[:2]))
    assert set(face.pressed()) == set(chips[:2]), "what is typed"
    page.run()
    assert page.prompt()[ids["heatmap"]]["inputs"]["hint_words"] == ", ".join(chips[:2])
