"""Threads chosen by the size of a model, and the host's setting back afterwards."""

import threading
from collections.abc import Iterator

import pytest
import torch
from pack import api_core
from pack.api_core.models import threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def ask_and_count(count: list[int], fail: bool = False) -> None:
    model = api_core.load_lvlm("tiny-lvlm")

    def look(done: int, total: int) -> None:
        count.append(torch.get_num_threads())
        if fail:
            raise KeyboardInterrupt

    api_core.ask(model, torch.rand(1, 64, 64, 3), "What is there?", max_new_tokens=2, on_progress=look)


def test_a_small_model_runs_in_one_thread_and_the_setting_comes_back():
    seen: list[int] = []
    ask_and_count(seen)
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2


def test_the_setting_comes_back_after_a_stop():
    with pytest.raises(KeyboardInterrupt):
        ask_and_count([], fail=True)
    assert torch.get_num_threads() == 2


def test_a_large_model_keeps_all_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threads, "SMALL", 1000)
    seen: list[int] = []
    ask_and_count(seen)
    assert set(seen) == {2}


def test_calls_within_calls_and_from_two_threads():
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with threads.one_thread():
            entered.set()
            assert leave.wait(10)

    with threads.one_thread():
        with threads.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
        helper = threading.Thread(target=other)
        helper.start()
        assert entered.wait(10)
    assert torch.get_num_threads() == 2, "as it was before the first of them"
    leave.set()
    helper.join()
    assert torch.get_num_threads() == 2
