"""A Chromium with ComfyUI's page open, driven the way a user's own is."""

import contextlib
import importlib.util
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .server import Server

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOAD_SECONDS = 120.0
RUN_SECONDS = 120.0
# The second: a page that starts loads a first workflow, and would lay it over what is already there.
READY = """() => window.LiteGraph?.registered_node_types?.AttnPromptOverlay
    && window.app?.extensionManager?.workflow?.activeWorkflow"""
MODERN_NODES = "Comfy.VueNodes.Enabled"
LOCALE = "Comfy.Locale"
# A page that its user has settled in: no templates over a first visit, no panel that the page before left open.
SETTLED = {"Comfy.TutorialCompleted": True, "Comfy.RightSidePanel.IsOpen": False, LOCALE: "en"}

RENDERERS = pytest.mark.parametrize("modern", [False, True], ids=["classic", "modern"])


def find_browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def why_not() -> str | None:
    """Why no page can be opened here, or None."""
    if importlib.util.find_spec("playwright") is None:
        return "the Python package playwright is not installed"
    if find_browser() is None:
        return f"there is no browser: none of {', '.join(BROWSERS)} is on the PATH"
    return None


EMPTY = """async ([scale, offset]) => {
    const { command, workflow, toast, sidebarTab, setting } = window.app.extensionManager;
    const before = workflow.openWorkflows.slice();
    await command.execute('Comfy.NewBlankWorkflow');
    for (const old of before) await workflow.closeWorkflow(old);
    toast.dismissAll();
    sidebarTab.activeSidebarTabId = null;
    await setting.set('Comfy.RightSidePanel.IsOpen', false);
    Object.assign(window.app.canvas.ds, { scale, offset });
    if (window.app.graph.nodes.length || workflow.openWorkflows.length > 1) throw new Error('the page is not empty');
}"""
PATIENCE_MS = 30_000


class ComfyPage:
    """ComfyUI's page, and the mistakes that it reported.

    A page takes seconds of processor time to load. Where the test before left one in the same look and language, it is
    emptied and used again: no workflow but a blank one, no panel, no message.
    """

    def __init__(self, browser: Any, server: Server) -> None:
        self.server = server
        self.errors: list[str] = []
        self.page: Any = None
        self._browser = browser
        self._look: tuple[bool, str] | None = None
        self._view: list[Any] = []

    def open(self, *, modern: bool, language: str = "en") -> None:
        """An empty page with one of ComfyUI's two renderers of nodes."""
        if self._look == (modern, language):
            self.page.set_default_timeout(PATIENCE_MS)
            self.page.mouse.move(5, 500)
            self.page.evaluate(EMPTY, self._view)
            return
        self.close()
        self.server.post("/settings", {**SETTLED, MODERN_NODES: modern, LOCALE: language})
        context = self._browser.new_context(viewport={"width": 1900, "height": 950})
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(error.stack or str(error)))
        self.load_page()
        set_to = self.page.evaluate("(name) => window.app.extensionManager.setting.get(name)", MODERN_NODES)
        assert set_to is modern, f"the page did not take the setting {MODERN_NODES}"
        self._view = self.page.evaluate("() => [window.app.canvas.ds.scale, [...window.app.canvas.ds.offset]]")
        self._look = modern, language

    def load_page(self) -> None:
        """Load the page, or load it again as it is."""
        self.page.goto(f"http://{self.server.address}")
        self.page.wait_for_function(READY, timeout=LOAD_SECONDS * 1000)

    def close(self, screenshot: Path | None = None) -> None:
        """Forget the page, with all that its browser remembers of it; of how it looked a picture, if wanted."""
        if self.page is None:
            return
        if screenshot is not None:
            self.page.screenshot(path=screenshot)
            print(f"screenshot: {screenshot}")  # noqa: T201  (pytest shows it beside the failure)
        self.page.context.close()
        self.page, self._look = None, None

    def command(self, name: str) -> None:
        """Run a command of the page, as its menus and keys do."""
        self.page.evaluate("async (name) => { await window.app.extensionManager.command.execute(name); }", name)

    def load(self, workflow: dict[str, Any]) -> None:
        self.page.evaluate("async (graph) => { await window.app.loadGraphData(graph); }", workflow)

    def node_types(self) -> dict[str, str]:
        """Every node on the canvas, by its id; one that this ComfyUI lacks has the type "missing: …"."""
        return self.page.evaluate("""() => Object.fromEntries(window.app.graph.nodes.map((node) => [
            String(node.id),
            (node.type in LiteGraph.registered_node_types && !node.has_errors ? '' : 'missing: ') + node.type,
        ]))""")

    def set_widget(self, node_type: str, name: str, value: Any) -> None:
        self.page.evaluate(
            """([type, name, value]) => {
                const node = window.app.graph.nodes.find((node) => node.type === type);
                const widget = node.widgets.find((widget) => widget.name === name);
                widget.value = value;
                widget.callback?.(value, window.app.canvas, node);
            }""",
            [node_type, name, value],
        )

    def prompt(self) -> dict[str, Any]:
        """What the page would send to the server."""
        return json.loads(self.page.evaluate("async () => JSON.stringify((await window.app.graphToPrompt()).output)"))

    def run(self) -> dict[str, Any]:
        """Queue what is on the canvas as the Run button does; its entry of the history, of a success."""
        with self.page.expect_response(lambda answer: answer.url.endswith("/prompt")) as taken:
            self.page.evaluate("async () => { await window.app.queuePrompt(0); }")
        assert taken.value.ok, f"ComfyUI refused the workflow: {taken.value.text()}"
        prompt_id = taken.value.json()["prompt_id"]
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            if entry := self.server.get(f"/history/{prompt_id}").get(prompt_id):
                assert entry["status"]["status_str"] == "success", entry["status"]
                return entry
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"The workflow was not done within {RUN_SECONDS:.0f} s.")

    def wait_until_shown(self, nodes: set[str]) -> None:
        """Until the page has got what these nodes show."""
        self.page.wait_for_function(
            "(ids) => ids.every((id) => window.app.nodeOutputs?.[id])", arg=sorted(nodes), timeout=30_000
        )


@contextlib.contextmanager
def opened(server: Server) -> Iterator[ComfyPage]:
    """A fresh browser; close it before `Server.run` is used again, as both need the thread's event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        try:
            yield ComfyPage(browser, server)
        finally:
            browser.close()
