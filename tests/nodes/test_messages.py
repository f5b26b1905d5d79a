"""What the host shows on a node: texts that grow, and warnings."""

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
def host(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    import pack.nodes.host

    server = FakeServer()
    monkeypatch.setattr(pack.nodes.host, "_server", lambda: server)
    return pack.nodes.host


def test_growing_text_of_one_case_stands_alone(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LIVE_SECONDS", 0.0)
    show = host.live_text("5:3", 1)
    show(0, "a")
    show(0, "a red star")
    assert host._server().texts == [("a", "5:3"), ("a red star", "5:3")]


def test_texts_of_a_batch_are_numbered(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LIVE_SECONDS", 0.0)
    show = host.live_text("7", 3)
    show(2, "blue")
    show(0, "red")
    assert host._server().texts[-1] == ("1: red\n3: blue", "7")


def test_tokens_that_come_quickly_are_not_all_sent(host: Any) -> None:
    show = host.live_text("7", 1)
    for length in range(1000):
        show(0, "x" * length)
    assert 1 <= len(host._server().texts) < 100


def test_of_a_long_text_the_end_is_shown(host: Any) -> None:
    host.live_text("7", 1)(0, "x" * 100_000 + " the end")
    ((text, _),) = host._server().texts
    assert text.endswith("the end")
    assert len(text) <= host.LIVE_LETTERS


def test_without_a_page_nothing_is_sent(host: Any) -> None:
    host.live_text(None, 1)(0, "a red star")
    host.warn(None, ["careful"])
    assert not host._server().texts
    assert not host._server().events


def test_a_warning_goes_to_the_node_and_to_the_page(host: Any) -> None:
    host.warn("7", ["careful", "very"])
    assert host._server().texts == [("careful\nvery", "7")]
    said = {"node": "7", "text": "careful\nvery"}
    assert host._server().events == [("attention_prompting.warning", said, "the page that pressed Run")]
    host.warn("7", [])
    assert len(host._server().events) == 1


def test_nothing_that_a_model_says_becomes_a_link(host: Any, run: Run) -> None:
    link = "[[You won|https://example.org]] \ud83d"
    host.live_text("7", 1)(0, link)
    host.warn("7", [link])
    assert len(host._server().texts) == 2
    assert not [text for text, _ in host._server().texts if "[[" in text or "\ud83d" in text]
    assert "[[" not in host._server().events[0][1]["text"]
    result = run("AttnPromptCompareAnswers", names="", answers={"answer0": link, "answer1": link})
    assert "[[" in result.args[0][0]  # the output is what was said
    assert "[[" not in result.ui["text"][0]


def test_a_page_that_cannot_be_told_fails_no_node(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(host._server(), "send_progress_text", gone)
    host.live_text("7", 1)(0, "a")
    host.warn("7", ["careful"])
