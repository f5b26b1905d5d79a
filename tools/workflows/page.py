"""ComfyUI's own page, driven so that what it lays out is saved the way a user's workflow is."""

import io
import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
from PIL import Image
from playwright.sync_api import Page, sync_playwright

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
# The second: a page that starts loads a first workflow, and would lay it over what is already there.
READY = """() => window.LiteGraph?.registered_node_types?.AttnPromptOverlay
    && window.app?.extensionManager?.workflow?.activeWorkflow"""

LAY_OUT = """
(story) => {
  const graph = window.app.graph;
  graph.clear();
  const nodes = {};
  for (const spec of story.nodes) {
    const node = LiteGraph.createNode(spec.type);
    if (!node) throw new Error(`This ComfyUI has no node ${spec.type}`);
    graph.add(node);
    node.pos = spec.pos;
    if (spec.title) node.title = spec.title;
    for (const [name, value] of Object.entries(spec.values)) {
      const widget = node.widgets?.find((w) => w.name === name);
      if (!widget) throw new Error(`${spec.type} has no widget ${name}: ${node.widgets?.map((w) => w.name)}`);
      widget.value = value;
      widget.callback?.(value, window.app.canvas, node);
    }
    if (spec.size) node.setSize(spec.size);
    nodes[spec.key] = node;
  }
  for (const [from, slot, to, input] of story.links) {
    const out = nodes[from].outputs.findIndex((o) => o.name === slot);
    const linked = out < 0 ? null : nodes[from].connect(out, nodes[to], input);
    if (!linked) throw new Error(`Could not link ${from}.${slot} to ${to}.${input}`);
  }
  for (const box of story.groups) {
    const group = new LiteGraph.LGraphGroup(box.title);
    group.pos = box.pos; group.size = box.size; group.color = box.color;
    graph.add(group);
  }
}
"""

# As text, so that what is undefined is left out, and not saved as null.
SERIALISE = "() => JSON.stringify(window.app.graph.serialize())"

RUN = """
async () => {
  const { api } = window.app;
  const send = api.queuePrompt;
  let id;
  api.queuePrompt = async (...given) => {
    const answer = await send.apply(api, given);
    id = answer.prompt_id;
    return answer;
  };
  await window.app.queuePrompt(0).finally(() => { api.queuePrompt = send; });
  if (!id) throw new Error('ComfyUI refused the workflow');
  while (!(id in (await (await fetch(`/history/${id}`)).json())))
    await new Promise((resolve) => setTimeout(resolve, 300));
  return id;
}
"""

SHOW_WHOLE = """
() => {
  const { canvas, graph } = window.app;
  const boxes = graph.nodes.map((node) => node.boundingRect);
  const left = Math.min(...boxes.map((b) => b[0])), top = Math.min(...boxes.map((b) => b[1]));
  const right = Math.max(...boxes.map((b) => b[0] + b[2])), bottom = Math.max(...boxes.map((b) => b[1] + b[3]));
  const { clientWidth, clientHeight } = canvas.canvas;
  const scale = Math.min((clientWidth - 120) / (right - left), (clientHeight - 110) / (bottom - top));
  canvas.ds.scale = scale;
  canvas.ds.offset = [90 / scale - left, 80 / scale - top];
  canvas.setDirty(true, true);
  return [70, 60, 110 + (right - left) * scale, 100 + (bottom - top) * scale];
}
"""
OVERLAPS = """
() => {
  const boxes = window.app.graph.nodes.map((node) => [`${node.id} ${node.title}`, ...node.boundingRect]);
  const found = [];
  for (const [i, [name, x, y, w, h]] of boxes.entries())
    for (const [other, x2, y2, w2, h2] of boxes.slice(i + 1))
      if (x < x2 + w2 && x2 < x + w && y < y2 + h2 && y2 < y + h) found.push(`${name} / ${other}`);
  return found;
}
"""
HIDE_MESSAGES = "[role=status], .p-toast { display: none !important; }"
HIDE_ALL_BUT_THE_GRAPH = """
#comfyui-body-top, #comfyui-body-bottom, #comfyui-body-left, #comfyui-body-right, #graph-canvas-container > .z-999,
.comfyui-body ~ *, [role=status], .p-toast { display: none !important; }
"""
FORGET_ERRORS = "() => { for (const node of window.app.graph.nodes) node.has_errors = false; }"


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_function(READY, timeout=60_000)


@contextmanager
def opened(url: str, size: tuple[int, int] = (2600, 1300), sharpness: float = 1.0) -> Iterator["ComfyPage"]:
    """The page in a browser that remembers nothing: ComfyUI's keeps the last graph, and what nodes showed.

    size: of the page, (width, height). sharpness: pixels of a picture for one of the page.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        try:
            width, height = size
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=sharpness)
            open_page(page, url)
            yield ComfyPage(page, url)
        finally:
            browser.close()


class ComfyPage:
    """The page of a running ComfyUI at `url`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def lay_out(self, layout: dict[str, Any]) -> dict[str, Any]:
        """The saved form of what `layout` describes, which is now on the canvas."""
        self.page.evaluate(LAY_OUT, layout)
        self.show_whole()
        self.page.wait_for_timeout(1000)  # nodes get their height when they are drawn
        return json.loads(self.page.evaluate(SERIALISE))

    def load(self, graph: dict[str, Any]) -> None:
        self.page.evaluate("async (graph) => { await window.app.loadGraphData(graph); }", graph)

    def prompt(self) -> dict[str, Any]:
        """What the page would send to the server."""
        return json.loads(self.page.evaluate("async () => JSON.stringify((await window.app.graphToPrompt()).output)"))

    def overlaps(self) -> list[str]:
        """Nodes that lie over each other, pair by pair."""
        return self.page.evaluate(OVERLAPS)

    def show_whole(self) -> tuple[float, ...]:
        """Scale the view to the whole graph; the part of the page that it fills."""
        self.page.keyboard.press("Escape")  # a first visit opens the templates over the graph
        return tuple(self.page.evaluate(SHOW_WHOLE))

    def run(self, graph: dict[str, Any]) -> dict[str, list[Image.Image]]:
        """Press Run; the pictures that the output nodes showed, or the frames of the video, by the nodes' titles."""
        titles = {str(node["id"]): node.get("title", node["type"]) for node in graph["nodes"]}
        prompt_id = self.page.evaluate(RUN)
        with urllib.request.urlopen(f"{self.url}/history/{prompt_id}") as response:
            history = json.load(response)[prompt_id]
        if history["status"]["status_str"] != "success":
            raise RuntimeError(f"The workflow did not run: {json.dumps(history['status'], indent=1)}")
        pictures: dict[str, list[Image.Image]] = {}
        for node_id, output in history["outputs"].items():
            for entry in (entry for entries in output.values() for entry in entries if isinstance(entry, dict)):
                name = str(entry.get("filename", ""))
                if name.endswith((".png", ".jpg", ".webp")):
                    pictures.setdefault(titles[node_id], []).append(Image.open(self._fetch(entry)).convert("RGB"))
                elif name.endswith(".mp4"):
                    with av.open(self._fetch(entry)) as video:
                        pictures[titles[node_id]] = [frame.to_image() for frame in video.decode(video=0)]
        return pictures

    def _fetch(self, entry: dict[str, str]) -> io.BytesIO:
        with urllib.request.urlopen(f"{self.url}/view?{urllib.parse.urlencode(entry)}") as response:
            return io.BytesIO(response.read())

    def picture(self) -> Image.Image:
        """The whole graph, and nothing of the page around it."""
        self.page.add_style_tag(content=HIDE_ALL_BUT_THE_GRAPH)
        self.page.evaluate(FORGET_ERRORS)  # of models that this machine lacks
        box = self.show_whole()
        self.page.wait_for_timeout(700)
        whole = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        return whole.crop(tuple(round(edge) for edge in box))  # type: ignore[arg-type]
