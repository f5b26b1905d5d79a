"""What viewers cost while nobody touches them: a graph with 20 of them in a real ComfyUI page, idle for 10 seconds.

    python tools/benchmarks/viewer_cost.py [--viewers 20] [--seconds 10] [--rounds 3]

ComfyUI's page draws all the time by itself. So the same graph is measured with its viewers taken off the page and with
them on it, in turns; what they cost is the difference, in percent of one core over all of the browser's processes.
Frames asked for are counted where the pack's own scripts ask. Needs a ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI,
playwright and a Chromium. Prints one line of JSON.
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import statistics
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
HIDE = """(hidden) => {
    for (const node of window.app.graph.nodes) {
        for (const { element } of node.widgets ?? []) if (element?.matches('.ap-face')) element.hidden = hidden;
    }
}"""
SOURCES = (("scene", "image", "image"), ("heatmap", "heatmap", "map"))
SHOWN = "(count) => document.querySelectorAll('.ap-viewer .ap-frame:not([hidden])').length >= count"


def load_tests() -> tuple[ModuleType, ...]:
    """The modules of the end-to-end tests that start servers, open pages and build graphs."""
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None:
        raise FileNotFoundError(f"There is no pack at {ROOT}.")
    sys.modules["pack"] = importlib.util.module_from_spec(spec)
    names = ("server", "browser", "graphs", "test_viewer_in_the_browser")
    return tuple(importlib.import_module(f"pack.tests.e2e.{name}") for name in names)


def browser_seconds() -> float:
    """Processor time that the browser has taken so far."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "chrom" in process.name():
                times = process.cpu_times()
                total += times.user + times.system
    return total


def percent_of_a_core(page: Any, seconds: float) -> float:
    before = browser_seconds()
    page.page.wait_for_timeout(1000 * seconds)
    return 100 * (browser_seconds() - before) / seconds


def measure(page: Any, tests: ModuleType, graphs: ModuleType, options: argparse.Namespace) -> dict[str, Any]:
    page.dismiss()
    views = [
        (f"view{i}", "AttnPromptView", (900 + 400 * (i % 5), 60 + 520 * (i // 5)), {}) for i in range(options.viewers)
    ]
    links = [(start, out, name, to) for name, *_ in views for start, out, to in SOURCES]
    nodes = [
        ("scene", "AttnPromptDemoScene", (20, 60), {"seed": 7}),
        ("clip", "AttnPromptLoadCLIP", (20, 360), {}),
        ("heatmap", "AttnPromptCLIPHeatmap", (450, 60), {"query": "the red star and the blue circle"}),
    ]
    made = [("scene", "image", "heatmap", "image"), ("clip", "clip", "heatmap", "clip")]
    graphs.build(page, [*nodes, *views], [*made, *links])
    page.page.evaluate("() => { app.canvas.ds.scale = 0.45; app.canvas.ds.offset = [60, 120]; }")
    page.page.evaluate(tests.COUNT_FRAMES)
    page.run()
    page.page.wait_for_function(SHOWN, arg=options.viewers, timeout=120_000)
    page.page.wait_for_timeout(5000)
    page.page.evaluate("() => { window.askedFor = []; }")
    without, having = [], []
    for _ in range(options.rounds):
        page.page.evaluate(HIDE, True)
        page.page.wait_for_timeout(1500)
        without.append(percent_of_a_core(page, options.seconds))
        page.page.evaluate(HIDE, False)
        page.page.wait_for_timeout(1500)
        having.append(percent_of_a_core(page, options.seconds))
    return {
        "page without viewers, % of a core": [round(value, 2) for value in without],
        "page with viewers, % of a core": [round(value, 2) for value in having],
        "viewers, % of a core": round(statistics.median(having) - statistics.median(without), 2),
        "animation frames asked for": len(page.page.evaluate("() => window.askedFor")),
        "errors": page.errors,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    server, browser, graphs, tests = load_tests()
    reason = server.why_not() or browser.why_not()
    if reason is not None:
        raise SystemExit(f"Nothing was measured: {reason}.")
    found: dict[str, Any] = {"viewers": options.viewers, "seconds": options.seconds}
    with tempfile.TemporaryDirectory() as folder, server.started(Path(folder), log=Path(folder) / "log") as running:
        for modern in (False, True):
            with browser.opened(running) as page:
                page.open(modern=modern)
                found["modern" if modern else "classic"] = measure(page, tests, graphs, options)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
