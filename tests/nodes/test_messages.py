"""What the page shows on a node: texts that grow, and warnings."""

from typing import Any

import pytest
from pack.tests.on_host import Run


class FakeServer:
    """Remembers what it is asked to send."""

    client_id = "the page that pressed Run"

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.events: list[tuple[Any, ...]] = []

    def send_progress_text(self, text: str, node_id: str) -> None:
        self.texts.append((text, node_id))

    def send_sync(self, *event: Any) -> None:
        self.events.append(event)


@pytest.fixture
def server(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """What stands in for ComfyUI's server."""
    import pack.nodes.host

    server = FakeServer()
    monkeypatch.setattr(pack.nodes.host, "server", lambda: server)
    return server


@pytest.fixture
def page(server: FakeServer) -> Any:
    import pack.nodes.page

    return pack.nodes.page


def test_growing_text_of_one_case_stands_alone(page: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LIVE_SECONDS", 0.0)
    show = page.live_text("5:3", 1)
    show(0, "a")
    show(0, "a red star")
    assert server.texts == [("a", "5:3"), ("a red star", "5:3")]


def test_texts_of_a_batch_are_numbered(page: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LIVE_SECONDS", 0.0)
    show = page.live_text("7", 3)
    show(2, "blue")
    show(0, "red")
    assert server.texts[-1] == ("1: red\n3: blue", "7")


def test_tokens_that_come_quickly_are_not_all_sent(page: Any, server: FakeServer) -> None:
    show = page.live_text("7", 1)
    for length in range(1000):
        show(0, "x" * length)
    assert 1 <= len(server.texts) < 100


def test_of_a_long_text_the_end_is_shown(page: Any, server: FakeServer) -> None:
    page.live_text("7", 1)(0, "x" * 100_000 + " the end")
    ((text, _),) = server.texts
    assert text.endswith("the end")
    assert len(text) <= page.LIVE_LETTERS


def test_without_a_page_nothing_is_sent(page: Any, server: FakeServer) -> None:
    page.live_text(None, 1)(0, "a red star")
    page.warn(None, ["careful"])
    assert not server.texts
    assert not server.events


def test_a_warning_goes_to_the_node_and_to_the_page(page: Any, server: FakeServer) -> None:
    page.warn("7", ["careful", "very"])
    assert server.texts == [("careful\nvery", "7")]
    said = {"node": "7", "text": "careful\nvery"}
    assert server.events == [("attention_prompting.warning", said, "the page that pressed Run")]
    page.warn("7", [])
    assert len(server.events) == 1


def test_nothing_that_a_model_says_becomes_a_link(page: Any, server: FakeServer, run: Run) -> None:
    link = "[[You won|https://example.org]] \ud83d"
    page.live_text("7", 1)(0, link)
    page.warn("7", [link])
    assert len(server.texts) == 2
    assert not [text for text, _ in server.texts if "[[" in text or "\ud83d" in text]
    assert "[[" not in server.events[0][1]["text"]
    result = run("AttnPromptCompareAnswers", names="", answers={"answer0": link, "answer1": link})
    assert "[[" in result.args[0][0]  # the output is what was said
    assert "[[" not in result.ui["text"][0]


def test_a_page_that_cannot_be_told_fails_no_node(
    page: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(server, "send_progress_text", gone)
    page.live_text("7", 1)(0, "a")
    page.warn("7", ["careful"])
