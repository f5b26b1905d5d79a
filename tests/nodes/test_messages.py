"""What the host shows on a node: texts that grow, and warnings."""

from typing import Any

import pytest


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
