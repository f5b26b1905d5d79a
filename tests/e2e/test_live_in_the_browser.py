"""Smooth & Enhance Mask, Overlay Attention and Compare Answers in ComfyUI's own page: redrawn without a run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pack.tests.e2e import browser
from pack.tests.e2e.browser import ComfyPage
from pack.tests.e2e.server import ROOT, Server

pytestmark = pytest.mark.host

QUICK_START = ROOT / "workflows" / "Attention prompt - quick start.json"
TUNE, OVERLAY, COMPARE = "AttnPromptTuneMask", "AttnPromptOverlay", "AttnPromptCompareAnswers"

# What a node's preview shows: the mean of its levels, whether the badge is there, and what the note says.
FACE = """(type) => {
  const node = window.app.graph.nodes.find((node) => node.type === type);
  const face = node.widgets.find((widget) => widget.name === 'attention_preview')?.element;
  if (!face) return null;
  const canvas = face.querySelector('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i++) if (i % 4 !== 3) sum += data[i];
  const [badge, note] = ['.ap-badge', '.ap-note'].map((name) => face.querySelector(name));
  return {
    mean: sum / (data.length / 4) / 3, ahead: !badge.hidden, note: note.textContent, connected: face.isConnected,
  };
}"""
COMPARED = """() => [...document.querySelectorAll('.ap-answers section')].map((part) => [
  part.querySelector('h4').textContent, part.querySelector('p').textContent,
  [...part.querySelectorAll('mark')].map((mark) => mark.textContent)])"""


@pytest.fixture
def page(comfyui: Server) -> Iterator[ComfyPage]:
    reason = browser.why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN, live tuning was not tried in a browser: {reason}")
    with browser.opened(comfyui) as opened:
        yield opened


def face(page: ComfyPage, node_type: str) -> dict[str, Any]:
    page.page.wait_for_timeout(400)  # a frame, and the picture's file where it is fetched
    found = page.page.evaluate(FACE, node_type)
    assert found is not None, f"{node_type} has no preview"
    assert found["connected"]
    return found


def start(page: ComfyPage, *, modern: bool, seed: int) -> None:
    page.open(modern=modern)
    page.load(json.loads(QUICK_START.read_text(encoding="utf-8")))
    page.set_widget("AttnPromptDemoScene", "seed", seed)
    assert page.run()["status"]["status_str"] == "success"
    ids = {key for key, kind in page.node_types().items() if kind in (TUNE, OVERLAY)}
    page.wait_until_shown(ids)


@pytest.mark.parametrize("modern", [False, True], ids=["classic", "modern"])
def test_tuning_redraws_at_once_and_the_overlay_follows(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    start(page, modern=modern, seed=811 + modern)
    before = {kind: face(page, kind) for kind in (TUNE, OVERLAY)}
    assert not any(found["ahead"] for found in before.values())
    runs = len(page.server.get("/history"))
    page.screenshot(tmp_path / "ran.png")

    page.set_widget(TUNE, "contrast", 12.0)
    page.set_widget(TUNE, "invert", True)
    tuned = {kind: face(page, kind) for kind in (TUNE, OVERLAY)}
    for kind, found in tuned.items():
        assert abs(found["mean"] - before[kind]["mean"]) > 2, f"{kind} did not follow"
        assert found["ahead"], f"{kind} does not say that it is ahead"
    page.screenshot(tmp_path / "tuned.png")

    page.set_widget(OVERLAY, "style", "heat colours")
    coloured = face(page, OVERLAY)
    assert abs(coloured["mean"] - tuned[OVERLAY]["mean"]) > 2
    page.set_widget(OVERLAY, "style.opacity", 1.0)  # a setting that came with the style
    assert abs(face(page, OVERLAY)["mean"] - coloured["mean"]) > 1
    page.screenshot(tmp_path / "coloured.png")
    page.set_widget(TUNE, "words", "giraffe")
    assert "has no map for 'giraffe'" in face(page, TUNE)["note"]
    page.set_widget(TUNE, "words", "")
    assert face(page, TUNE)["note"] == ""
    assert len(page.server.get("/history")) == runs, "something was queued"

    live = face(page, OVERLAY)["mean"]
    assert page.run()["status"]["status_str"] == "success"
    page.page.wait_for_timeout(1000)
    after = {kind: face(page, kind) for kind in (TUNE, OVERLAY)}
    assert not any(found["ahead"] for found in after.values())
    assert abs(after[OVERLAY]["mean"] - live) < 0.5, "the run gave another picture than the preview had promised"
    page.screenshot(tmp_path / "applied.png")
    assert not page.errors


@pytest.mark.parametrize("modern", [False, True], ids=["classic", "modern"])
def test_previews_outlive_a_reload_and_say_when_their_file_is_gone(
    page: ComfyPage, tmp_path: Path, modern: bool
) -> None:
    start(page, modern=modern, seed=821 + modern)
    before = face(page, TUNE)
    page.set_widget(TUNE, "contrast", 9.0)
    graph = page.page.evaluate("() => window.app.graph.serialize()")
    page.load(graph)  # as undo and a change of tab do: every node is made anew
    assert face(page, TUNE)["ahead"]
    page.set_widget(TUNE, "contrast", -1.0)
    same = face(page, TUNE)
    assert same["mean"] == pytest.approx(before["mean"])
    assert not same["ahead"]
    for file in (page.server.base / "temp" / "attention_prompting").glob("*.bin"):
        file.unlink()
    page.page.evaluate("() => window.app.graph.clear()")
    page.load(graph)
    assert "Run once" in face(page, TUNE)["note"]
    page.screenshot(tmp_path / "gone.png")
    assert not page.errors


@pytest.mark.parametrize("modern", [False, True], ids=["classic", "modern"])
def test_answers_are_compared_on_the_node(page: ComfyPage, tmp_path: Path, modern: bool) -> None:
    page.open(modern=modern)
    page.page.evaluate(
        """(text) => {
          const { graph } = window.app;
          graph.clear();
          const compare = LiteGraph.createNode('AttnPromptCompareAnswers');
          graph.add(compare);
          compare.pos = [700, 200];
          const names = compare.widgets.find((widget) => widget.name === 'names');
          names.value = 'plain, prompted';
          text.forEach((value, i) => {
            const node = LiteGraph.createNode('PrimitiveStringMultiline');
            graph.add(node);
            node.pos = [200, 200 + 300 * i];
            node.widgets[0].value = value;
            node.connect(0, compare, compare.inputs.findIndex((input) => input.name === `answers.answer${i}`));
          });
        }""",
        [f"It is <b>red</b> {modern}.", f"It is <b>blue</b> {modern}."],
    )
    page.page.keyboard.press("Escape")
    assert page.run()["status"]["status_str"] == "success"
    page.page.wait_for_timeout(1000)
    assert page.page.evaluate(COMPARED) == [
        ["plain", f"It is <b>red</b> {modern}.", ["red"]],
        ["prompted", f"It is <b>blue</b> {modern}.", ["blue"]],
    ]
    page.screenshot(tmp_path / "compared.png")
    assert not page.errors
