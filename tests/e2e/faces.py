"""The viewer on a node of ComfyUI's page, as a user sees and handles it, and a small graph that has one."""

import re
from typing import Any

from .browser import ComfyPage
from .graphs import build

QUERY = "the red star and the blue circle"
FACE = ".ap-viewer"


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
        """What the map is of, without how present that is."""
        return self.element.locator(".ap-shown").text_content().split(" · presence ")[0]

    @property
    def presence(self) -> float | None:
        """How present what is shown is, where the face says so."""
        found = re.search(r" · presence (-?\d+\.\d)$", self.element.locator(".ap-shown").text_content())
        return float(found[1]) if found else None

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
