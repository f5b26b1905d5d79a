"""Build the shipped workflows in ComfyUI's own frontend, so that they are saved the way a user's are.

    python tools/workflows/build.py --url http://127.0.0.1:8188

needs a running ComfyUI with this pack, Chromium, and `pip install playwright`. Each workflow in `*stories.py` is laid
out node by node in the page, serialised by it, and written to `workflows/`. With `--run`, those that need no download
are queued there as well, and the pictures that they showed become the thumbnail of the same name; the thumbnail of the
others shows the graph.
"""

import argparse
import io
import json
import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import lvlm_stories
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from stories import STORIES, Story

ROOT = Path(__file__).resolve().parents[2]
PACK_PREFIX = "AttnPrompt"
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

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
  return JSON.stringify(graph.serialize());  // text, so that what is undefined is left out, and not saved as null
}
"""

RUN = """
async () => {
  const newest = async () => Object.keys(await (await fetch('/history?max_items=1')).json())[0];
  const before = await newest();
  if (!(await window.app.queuePrompt(0))) throw new Error('ComfyUI refused the workflow');
  for (;;) {
    const id = await newest();
    if (id && id !== before) return id;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
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
HIDE_MESSAGES = "[role=status], .p-toast { display: none !important; }"


def version() -> str:
    """The pack's version, as `pyproject.toml` states it."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version"))


def clean(graph: dict[str, Any], story: Story) -> dict[str, Any]:
    """Name each node's pack and version, keep the models to fetch, and drop what belongs to one machine."""
    for node in graph["nodes"]:
        properties = {"Node name for S&R": node["type"]}
        if node["type"].startswith(PACK_PREFIX):
            properties |= {"cnr_id": "attention-prompting", "ver": version()}
        elif not node["type"].endswith("Note"):
            properties |= {"cnr_id": "comfy-core", "ver": story.core_version}
        if models := story.models.get(node["type"]):
            properties["models"] = models
        node["properties"] = properties
        for slot in [*node.get("inputs", []), *node.get("outputs", [])]:
            slot.pop("localized_name", None)
    graph["extra"] = {"ds": {"scale": 0.7, "offset": [480, 120]}}
    graph["revision"] = 0
    graph["id"] = story.id
    return graph


def run(page: Page, url: str, graph: dict[str, Any]) -> dict[str, list[Image.Image]]:
    """Press Run; the pictures that the output nodes showed, by the nodes' titles."""
    titles = {str(node["id"]): node.get("title", node["type"]) for node in graph["nodes"]}
    prompt_id = page.evaluate(RUN)
    with urllib.request.urlopen(f"{url}/history/{prompt_id}") as response:
        history = json.load(response)[prompt_id]
    if history["status"]["status_str"] != "success":
        raise RuntimeError(f"The workflow did not run: {json.dumps(history['status'], indent=1)}")
    pictures: dict[str, list[Image.Image]] = {}
    for node_id, output in history["outputs"].items():
        shown = [entry for entries in output.values() for entry in entries if isinstance(entry, dict)]
        for entry in shown:
            with urllib.request.urlopen(f"{url}/view?{urllib.parse.urlencode(entry)}") as response:
                picture = Image.open(io.BytesIO(response.read())).convert("RGB")
            pictures.setdefault(titles[node_id], []).append(picture)
    return pictures


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_function(
        "() => window.app?.graph && window.LiteGraph?.registered_node_types?.AttnPromptOverlay", timeout=60_000
    )


def graph_picture(page: Page, box: tuple[float, ...]) -> Image.Image:
    """The laid-out graph, which fills `box` of the page, for a workflow whose model cannot be had here."""
    page.add_style_tag(content=HIDE_MESSAGES)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").crop(tuple(round(edge) for edge in box))
    picture.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8188", help="a running ComfyUI with this pack")
    parser.add_argument("--run", action="store_true", help="run those that need no download, and make thumbnails")
    parser.add_argument("--only", default="", help="build those whose name holds this")
    parser.add_argument("--screenshots", type=Path, help="folder for a picture of each laid-out workflow")
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1900, "height": 950})
        for story in (story for story in (*STORIES, *lvlm_stories.STORIES) if args.only in story.name):
            open_page(page, args.url)  # anew each time: the page keeps what nodes showed by their number
            graph = clean(json.loads(page.evaluate(LAY_OUT, story.layout())), story)
            target = ROOT / "workflows" / f"{story.name}.json"
            target.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(f"wrote {target.name}")
            page.keyboard.press("Escape")  # a first visit opens the templates over the graph
            box = page.evaluate(SHOW_WHOLE)
            if args.run:
                shown = None if story.models else run(page, args.url, graph)
                page.wait_for_timeout(2500)
                picture = story.thumbnail(shown) if shown else graph_picture(page, box)
                picture.save(target.with_suffix(".jpg"), quality=88)
            if args.screenshots:
                args.screenshots.mkdir(parents=True, exist_ok=True)
                page.wait_for_timeout(1000)
                page.screenshot(path=args.screenshots / f"{story.name}.png")
        browser.close()


if __name__ == "__main__":
    main()
