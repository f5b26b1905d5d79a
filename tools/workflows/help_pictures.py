"""Take the pictures of the help pages in ComfyUI's own page.

    python tools/workflows/help_pictures.py --url http://127.0.0.1:8188

needs what `shipped.py` needs, and files of the names that Pair CLIP's story loads, which may be empty: nothing reads
them. The nodes of `help_stories.py` are laid out and run on the embedded models; then each picture is cut out of the
page and written to `web/docs/pictures/<NodeId>.webp`.
"""

import argparse
import io
from pathlib import Path

from help_stories import LINKS, PICTURES, ROW
from page import HIDE_MESSAGES, LAY_OUT, RUN, open_page, opened
from PIL import Image
from playwright.sync_api import Page
from shipped import ROOT

TARGET = ROOT / "web" / "docs" / "pictures"
QUALITY = 80
SHARPNESS = 1.5
GAP = 16
HIDE_THE_REST = (
    HIDE_MESSAGES + ".side-tool-bar-container, .comfyui-body-top, .comfyui-body-right { display: none !important; }"
)

# The page as a new installation shows it: dark, English, the newer look of nodes.
DRESS = """
async () => {
  const { setting } = window.app.extensionManager;
  await setting.set('Comfy.VueNodes.Enabled', true);
  await setting.set('Comfy.ColorPalette', 'dark');
  await setting.set('Comfy.Locale', 'en');
}
"""

# Nodes that ComfyUI has in its cache from an earlier run would show nothing.
FORGET = """
async () => {
  const body = JSON.stringify({ unload_models: true, free_memory: true });
  await fetch('/free', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
"""

# Put some nodes closely below each other, and bring them to the corner of the page at full size; their box in it.
SHOW = """
([numbers, gap]) => {
  const { canvas, graph } = window.app;
  const nodes = numbers.map((number) => graph.nodes[number]);
  const [left, top] = nodes[0].boundingRect;
  const width = Math.max(...nodes.map((node) => node.boundingRect[2]));
  let bottom = top;
  for (const node of nodes) {
    node.pos = [node.pos[0], bottom + node.pos[1] - node.boundingRect[1]];
    bottom += node.boundingRect[3] + gap;
  }
  canvas.ds.scale = 1;
  canvas.ds.offset = [120 - left, 90 - top];
  canvas.deselectAll();
  canvas.setDirty(true, true);
  return { x: 110, y: 80, width: width + 20, height: bottom - gap - top + 20 };
}
"""

# Links that come from far away would only cross the pictures.
CUT_LINKS = """
(row) => {
  const { graph } = window.app;
  const rowOf = (id) => Math.floor(graph.getNodeById(id).pos[1] / row);
  for (const link of [...graph.links.values()])
    if (rowOf(link.origin_id) !== rowOf(link.target_id)) graph.removeLink(link.id);
}
"""


def take(page: Page, numbers: list[int], path: Path) -> None:
    """The picture of these nodes of the page, by their place in the graph."""
    page.evaluate(SHOW, [numbers, GAP])
    page.wait_for_timeout(700)  # nodes are drawn, and get their height, when they come into sight
    box = page.evaluate(SHOW, [numbers, GAP])
    page.wait_for_timeout(400)
    picture = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=QUALITY, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8188", help="a running ComfyUI with this pack")
    parser.add_argument("--only", default="", help="those of nodes whose id holds this")
    parser.add_argument("--to", type=Path, default=TARGET, help="the folder that they are written to")
    args = parser.parse_args()
    nodes = [node for column in PICTURES.values() for node in (*column.nodes, *column.unseen)]
    numbers = {node.key: number for number, node in enumerate(nodes)}
    with opened(args.url, (800, 1600), SHARPNESS) as comfy:
        page = comfy.page
        page.evaluate(DRESS)
        open_page(page, args.url)
        layout = {
            "nodes": [vars(node) | {"values": dict(node.values)} for node in nodes],
            "links": LINKS,
            "groups": [],
        }
        page.evaluate(LAY_OUT, layout)
        page.keyboard.press("Escape")  # a first visit opens the templates over the graph
        page.evaluate(FORGET)
        page.evaluate(RUN)
        page.wait_for_timeout(3000)  # pictures are fetched and drawn
        page.evaluate(CUT_LINKS, ROW)
        page.add_style_tag(content=HIDE_THE_REST)
        for name, column in ((name, column) for name, column in PICTURES.items() if args.only in name):
            take(page, [numbers[node.key] for node in column.nodes], args.to / f"{name}.webp")
            print(f"wrote {name}.webp")


if __name__ == "__main__":
    main()
