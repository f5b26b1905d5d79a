"""Smooth & Enhance Mask, Overlay Attention and Compare Answers in ComfyUI's own page: redrawn without a run."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.server import ROOT

pytestmark = pytest.mark.host

QUICK_START = ROOT / "workflows" / "Attention prompt - quick start.json"
TUNE, OVERLAY = "AttnPromptTuneMask", "AttnPromptOverlay"

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


def face(page: ComfyPage, node_type: str, until: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
    """What the node shows as soon as `until` holds of it: it takes a frame, and a busy machine draws few."""
    for _ in range(80):
        page.page.wait_for_timeout(250)
        found = page.page.evaluate(FACE, node_type)
        if found is not None and found["connected"] and until(found):
            return found
    raise AssertionError(f"{node_type} still shows {found}")


def ahead(found: dict[str, Any]) -> bool:
    return found["ahead"]


def applied(found: dict[str, Any]) -> bool:
    return not found["ahead"] and not found["note"] and found["mean"] > 0


def apart(mean: float, least: float) -> Callable[[dict[str, Any]], bool]:
    return lambda found: abs(found["mean"] - mean) > least


def start(page: ComfyPage, *, modern: bool, seed: int) -> None:
    page.open(modern=modern)
    page.load(json.loads(QUICK_START.read_text(encoding="utf-8")))
    page.set_widget("AttnPromptDemoScene", "seed", seed)
    page.run()
    ids = {key for key, kind in page.node_types().items() if kind in (TUNE, OVERLAY)}
    page.wait_until_shown(ids)


@RENDERERS
def test_tuning_redraws_at_once_and_the_overlay_follows(page: ComfyPage, modern: bool) -> None:
    start(page, modern=modern, seed=811 + modern)
    before = {kind: face(page, kind, applied)["mean"] for kind in (TUNE, OVERLAY)}
    runs = len(page.server.get("/history"))

    page.set_widget(TUNE, "contrast", 12.0)
    page.set_widget(TUNE, "invert", True)
    tuned = {kind: face(page, kind, apart(mean, 2)) for kind, mean in before.items()}
    assert all(map(ahead, tuned.values()))

    page.set_widget(OVERLAY, "style", "heat colours")
    coloured = face(page, OVERLAY, apart(tuned[OVERLAY]["mean"], 2))
    page.set_widget(OVERLAY, "style.opacity", 1.0)  # a setting that came with the style
    face(page, OVERLAY, apart(coloured["mean"], 1))
    page.set_widget(TUNE, "words", "giraffe")
    face(page, TUNE, lambda found: "has no map for 'giraffe'" in found["note"])
    page.set_widget(TUNE, "words", "")
    face(page, TUNE, lambda found: not found["note"])
    assert len(page.server.get("/history")) == runs, "something was queued"

    live = face(page, OVERLAY, ahead)["mean"]
    page.run()
    face(page, TUNE, applied)
    after = face(page, OVERLAY, applied)
    assert abs(after["mean"] - live) < 0.5, "the run gave another picture than the preview had promised"


@RENDERERS
def test_previews_outlive_a_reload_and_say_when_their_file_is_gone(page: ComfyPage, modern: bool) -> None:
    start(page, modern=modern, seed=821 + modern)
    before = face(page, TUNE, applied)
    page.set_widget(TUNE, "contrast", 9.0)
    graph = page.page.evaluate("() => window.app.graph.serialize()")
    page.load(graph)  # as undo and a change of tab do: every node is made anew
    face(page, TUNE, ahead)
    page.set_widget(TUNE, "contrast", -1.0)
    assert face(page, TUNE, applied)["mean"] == pytest.approx(before["mean"])
    for file in (page.server.base / "temp" / "attention_prompting").glob("*.bin"):
        file.unlink()
    page.page.evaluate("() => window.app.graph.clear()")
    page.load(graph)
    face(page, TUNE, lambda found: "Run once" in found["note"])


@RENDERERS
def test_answers_are_compared_on_the_node(page: ComfyPage, modern: bool) -> None:
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
    page.run()
    page.page.wait_for_selector(".ap-answers mark")
    assert page.page.evaluate(COMPARED) == [
        ["plain", f"It is <b>red</b> {modern}.", ["red"]],
        ["prompted", f"It is <b>blue</b> {modern}.", ["blue"]],
    ]
