"""From a question to the surer answer in ComfyUI's own page: a picture magnified by its map, and both asked about."""

import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.test_live_in_the_browser import OVERLAY, ahead, applied, face

pytestmark = pytest.mark.host

QUESTION = "what color is the cross?"


def graph(seed: int) -> prompts.Graph:
    return {
        "1": prompts.node("AttnPromptDemoScene", width=384, height=256, objects=5, seed=seed),
        "2": prompts.load_clip("tiny-clip"),
        "3": prompts.heatmap("2", "1", QUESTION),
        "4": prompts.tune("3"),
        "5": prompts.node(
            "AttnPromptOverlay",
            image=["1", 0],
            mask=["4", 0],
            strength=1.0,
            style="magnify",
            style__zoom=3.0,
            style__keep=0.2,
            style__profile="peak",
            style__in_place=True,
        ),
        "6": prompts.load_lvlm("tiny-lvlm"),
        "7": prompts.node(
            "AttnPromptSurerAnswer",
            model=["6", 0],
            image=["1", 0],
            question=QUESTION,
            skip_above=1.0,
            template="plain",
            max_new_tokens=8,
            prompted__prompted0=["5", 0],
        ),
        "8": prompts.node("PreviewAny", source=["7", 0]),
        "9": prompts.node("PreviewAny", source=["7", 2]),
        "10": prompts.node("PreviewImage", images=["7", 3]),
    }


@RENDERERS
def test_a_magnified_picture_is_previewed_and_asked_about(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    page.page.evaluate("async (graph) => { await window.app.loadApiJson(graph, 'surer'); }", graph(40 + modern))
    assert not [kind for kind in page.node_types().values() if kind.startswith("missing")]
    outputs = page.run()["outputs"]
    (answer,), (confidence,) = outputs["8"]["text"], outputs["9"]["text"]
    assert answer.strip()
    assert 0 < float(confidence) <= 1
    assert outputs["10"]["images"]
    shown = face(page, OVERLAY, applied)
    page.set_widget(OVERLAY, "style.zoom", 1.5)
    assert face(page, OVERLAY, ahead)["mean"] != shown["mean"]
