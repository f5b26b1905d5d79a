"""One ComfyUI server for all end-to-end tests, and its page in a browser."""

import contextlib
import json
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pack.tests import zoo
from pack.tests.e2e import browser
from pack.tests.e2e import server as servers
from pack.tests.tiny import tiny_clip_folder
from PIL import Image

TINY = "clip_vision/tiny"
DEEP = "clip_vision/deep"
TINY_LVLM = "LLM/llava-1.5"


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[servers.Server]:
    """A running ComfyUI with this pack, three tiny random models and pictures of 96 x 64 in its folders."""
    reason = servers.why_not()
    if reason is not None:
        pytestconfig.stash[servers.OUTCOME] = f"NOT RUN: {reason}"
        pytest.skip(pytestconfig.stash[servers.OUTCOME])
    base = tmp_path_factory.mktemp("comfyui")
    make_models(base / "models" / "clip_vision")
    (base / "models" / "LLM").mkdir(parents=True)
    zoo.folder("llava-1.5", base / "models" / "LLM")
    make_picture(base / "input" / "picture.png")
    make_picture(base / "input" / "example.png")  # a ComfyUI brings one of this name
    for path in (servers.ROOT / "workflows").glob("*.json"):
        pretend_it_was_fetched(json.loads(path.read_text(encoding="utf-8")), base / "models")
    with servers.started(base, log=base / "server.log") as server:
        home = servers.find_comfyui()
        assert home is not None
        pytestconfig.stash[servers.OUTCOME] = f"ran in ComfyUI {servers.comfyui_version(home)}"
        yield server


BROWSER = pytest.StashKey[tuple[browser.ComfyPage, contextlib.ExitStack]]()


@pytest.fixture
def page(comfyui: servers.Server, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[browser.ComfyPage]:
    """A page to `open`, as empty as a new one; in the end it must have reported no mistake."""
    reason = browser.why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN, nothing was tried in a browser: {reason}")
    stash = request.config.stash
    if BROWSER not in stash:
        closing = contextlib.ExitStack()
        stash[BROWSER] = closing.enter_context(browser.opened(comfyui)), closing
    page, _ = stash[BROWSER]
    failed, page.errors = request.session.testsfailed, []
    yield page
    if request.session.testsfailed > failed:
        page.close(tmp_path / "failed.png")  # whatever state it is in
    assert not page.errors


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Close the browser after the last test in it: while its event loop runs, others can start none."""
    try:
        return (yield)
    finally:
        if BROWSER in item.config.stash and "page" not in getattr(nextitem, "fixturenames", ()):
            _, closing = item.config.stash[BROWSER]
            del item.config.stash[BROWSER]
            closing.close()


def make_models(folder: Path) -> None:
    """A quick model, and one with so many blocks that a heatmap of a large batch takes a while."""
    tiny_clip_folder(folder / "tiny")
    tiny_clip_folder(folder / "deep", vision={"layers": 24, "width": 256, "head_width": 32, "patch_size": 4})


def pretend_it_was_fetched(workflow: Mapping[str, Any], models: Path) -> None:
    """Put an empty file where ComfyUI's own loaders look for what the workflow says is to be fetched."""
    for node in workflow["nodes"]:
        for model in node["properties"].get("models", []):
            if not node["type"].startswith("AttnPrompt"):
                file = models / model["directory"] / model["name"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()


def make_picture(path: Path) -> None:
    """A picture with a red square in a grey field."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (96, 64), (90, 90, 90))
    picture.paste((250, 20, 20), (60, 10, 84, 34))
    picture.save(path)
