"""A real server process misbehaves on real sockets: a clear error or a recovery each, and the key nowhere."""

import asyncio
import contextlib
import gc
import io
import logging
import re
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pack.api_core.answering import Answer, ask
from pack.api_core.errors import Cancelled, InvalidInput, MissingPackage, ServerFailed
from pack.api_core.models.server import Limits, Profile, Secret, ServerModel, probe
from pack.api_core.models.server.loop import run
from pack.tests.servers.process import ServerProcess, running

KEY = "sk-test-5f4dcc3b5aa765d61d8327deb882cf99"
HASTY = Limits(connect=2, first_token=1.0, between_tokens=0.6, retries=2, first_wait=0.02, longest_wait=3)
PICTURE = torch.rand(1, 20, 30, 3, generator=torch.Generator().manual_seed(0))
BROKEN_JSON = 'data: {"choices": [{"delta": {"content": "$\n\n'
PAGE = "<!DOCTYPE html><html><body>Welcome to the admin page</body></html>"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running(key=KEY) as process:
        yield process


class Everything(logging.Handler):
    """Keeps all that is logged, written out with its tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{logging.Formatter().format(record)} {record.args!r}")


@pytest.fixture(autouse=True)
def nothing_shows_the_key(capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Whatever a test does: no log of any library at any level, and no output, holds the key."""
    root, kept = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept.lines
    gc.collect()
    root.removeHandler(kept)
    root.setLevel(level)
    written = capfd.readouterr()
    assert KEY not in written.out + written.err + "\n".join(kept.lines)


def model_of(server: ServerProcess, name: str = "scripted-lvlm", limits: Limits = HASTY) -> ServerModel:
    return ServerModel(Profile("test", server.address, stored_key=Secret(KEY)), name, limits=limits)


def refused(model: ServerModel, **options: Any) -> ServerFailed:
    """The error of asking, after a search of all that hangs on it for the key."""
    with pytest.raises(ServerFailed) as caught:
        ask(model, PICTURE, "what is it?", **options)
    require_no_key(caught.value)
    return caught.value


def require_no_key(error: BaseException) -> None:
    shown = io.StringIO()
    traceback.print_exception(error, file=shown)
    assert KEY not in shown.getvalue()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None:
            continue
        assert KEY not in f"{current} {current!r} {current.args} {vars(current)}"
        waiting += [current.__cause__, current.__context__]
        for frame, _ in traceback.walk_tb(current.__traceback__):
            if "api_core" in frame.f_code.co_filename:  # what tools that print local variables would show
                assert KEY not in repr(dict(frame.f_locals))


def answers(model: ServerModel, **options: Any) -> list[Answer]:
    return ask(model, PICTURE, "what is it?", **options)


STATUS: dict[str, Any] = {"kind": "status", "body": {"error": {"message": "no, $KEY, no"}}}
LLAMA_CPP_TEXT_ONLY = {
    "error": {
        "code": 500,
        "message": "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        "type": "server_error",
    }
}
LLAMA_CPP_TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (25035 tokens) exceeds the available context size (2048 tokens), try increasing it",
        "type": "exceed_context_size_error",
    }
}


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ({**STATUS, "status": 401}, "key", "refuses the key"),
        ({**STATUS, "status": 403}, "key", "not allow"),
        ({**STATUS, "status": 400}, "refused", r"no, \[key\], no"),
        ({**STATUS, "status": 400, "body": {"detail": "x is not a multimodal model"}}, "pictures", "takes no pictures"),
        ({**STATUS, "status": 500, "body": LLAMA_CPP_TEXT_ONLY}, "pictures", "another model"),
        ({**STATUS, "status": 400, "body": LLAMA_CPP_TOO_LONG}, "refused", "2048 tokens"),
        ({**STATUS, "status": 404, "body": {"detail": "Not Found"}}, "address", "/v1"),
        ({**STATUS, "status": 413}, "size", "smaller"),
        ({**STATUS, "status": 301, "headers": {"Location": "http://elsewhere/v1"}}, "address", "http://elsewhere/v1"),
        ({**STATUS, "status": 200, "headers": {"Content-Type": "text/html"}, "body": PAGE}, "garbled", "web page"),
        ({**STATUS, "status": 200, "body": "certainly no JSON"}, "garbled", "certainly no JSON"),
        ({"kind": "raw", "raw": BROKEN_JSON.replace("$", KEY)}, "garbled", r"\[key\]"),
        ({"kind": "raw", "raw": PAGE}, "empty", "without a word"),
        ({"kind": "silence", "seconds": 5}, "slow", "1 s"),
        ({"kind": "pings"}, "slow", "1 s"),
        ({"kind": "stall", "after": 2, "seconds": 5}, "slow", r"0\.6 s"),
        ({"kind": "too large at once"}, "size", "413"),
    ],
)
def test_what_cannot_be_helped_is_a_clear_error(
    server: ServerProcess, fault: dict[str, Any], kind: str, says: str
) -> None:
    server.misbehave(*[fault] * 4)
    error = refused(model_of(server))
    assert error.kind == kind
    assert re.search(says, str(error))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({**STATUS, "status": 500}, "trouble"),
        ({**STATUS, "status": 503, "body": "<html>loading</html>"}, "trouble"),
        ({**STATUS, "status": 429, "headers": {"Retry-After": "0.1"}}, "busy"),
        ({"kind": "drop"}, "lost"),
        ({"kind": "cut", "after": 2}, "lost"),
        ({"kind": "ends early", "after": 2}, "lost"),
        ({"kind": "error", "after": 2}, "trouble"),
        ({"kind": "empty"}, "empty"),
    ],
)
def test_what_passes_is_tried_again_and_told_of(server: ServerProcess, fault: dict[str, Any], kind: str) -> None:
    server.misbehave(fault, fault)
    lines: list[str] = []
    (answer,) = answers(model_of(server), on_notice=lines.append)
    assert answer.text == "answer to what is it? with 1 pictures"
    assert len(lines) == 2
    assert "(2 of 3)" in lines[0]
    assert KEY not in " ".join(lines)
    server.misbehave(*[fault] * 3)
    error = refused(model_of(server))
    assert error.kind == kind
    assert "attempt 3" in str(error)


def test_an_answer_that_was_cut_begins_anew(server: ServerProcess) -> None:
    server.misbehave({"kind": "cut", "after": 2})
    texts: list[str] = []
    done: list[int] = []
    answers(model_of(server), on_token=lambda row, text: texts.append(text), on_progress=lambda n, _: done.append(n))
    assert texts.count("answer to what is it?") == 2
    assert texts[-1] == "answer to what is it? with 1 pictures"
    assert done == sorted(done)


def test_a_server_s_wish_to_wait_is_honoured_unless_it_is_too_long(server: ServerProcess) -> None:
    server.misbehave({**STATUS, "status": 429, "headers": {"Retry-After": "1"}})
    answers(model_of(server))
    first, second = (request["at"] for request in server.requests)
    assert second - first >= 1.0
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
    server.misbehave({**STATUS, "status": 503, "headers": {"Retry-After": date}})
    answers(model_of(server))
    first, second = (request["at"] for request in server.requests)
    assert second - first >= 1.5
    server.misbehave({**STATUS, "status": 429, "headers": {"Retry-After": "3600"}})
    began = time.monotonic()
    assert "3600 s" in str(refused(model_of(server)))
    assert time.monotonic() - began < 1


def test_no_credit_is_not_tried_again(server: ServerProcess) -> None:
    broke = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    server.misbehave({**STATUS, "status": 429, "body": broke})
    assert "credit" in str(refused(model_of(server)))
    assert len(server.requests) == 1


def test_a_wrong_model_gets_the_names_of_the_right_ones(server: ServerProcess) -> None:
    server.misbehave()
    error = refused(model_of(server, "no-such-model"))
    assert error.kind == "model"
    assert "'no-such-model'" in str(error)
    assert "scripted-lvlm" in str(error)


def test_the_only_model_needs_no_name(server: ServerProcess) -> None:
    server.misbehave()
    answers(model_of(server, ""))
    assert server.requests[0]["settings"]["model"] == "scripted-lvlm"


def test_a_wrong_key_is_refused_and_not_repeated(server: ServerProcess) -> None:
    server.misbehave()
    model = ServerModel(Profile("test", server.address, stored_key=Secret(KEY[::-1])), limits=HASTY)
    error = refused(model)
    assert error.kind == "key"
    assert KEY[::-1] not in str(error)
    without = ServerModel(Profile("test", server.address), limits=HASTY)
    assert "wants a key" in str(refused(without))


def test_where_nothing_listens_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    error = refused(ServerModel(Profile("test", f"http://127.0.0.1:{port}"), "m", limits=HASTY))
    assert (error.kind, "refused" in str(error)) == ("unreachable", True)
    assert time.monotonic() - began < 1


def test_a_port_that_accepts_nobody_is_given_up() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with contextlib.ExitStack() as stack:
            for _ in range(3):  # the queue is full; Linux then answers no further one
                queued = stack.enter_context(socket.socket())
                queued.setblocking(False)
                queued.connect_ex(full.getsockname())
            limits = Limits(connect=0.5, first_token=5)
            error = refused(
                ServerModel(Profile("test", f"http://127.0.0.1:{full.getsockname()[1]}"), "m", limits=limits)
            )
    assert (error.kind, "0.5 s" in str(error)) == ("unreachable", True)


def test_tls_where_there_is_none_is_explained(server: ServerProcess) -> None:
    error = refused(ServerModel(Profile("test", server.address.replace("http:", "https:")), "m", limits=HASTY))
    assert (error.kind, "http://" in str(error)) == ("unreachable", True)


def test_a_20_mb_picture_is_sent_and_a_server_that_refuses_it_is_explained(server: ServerProcess) -> None:
    noise = torch.rand(1, 2450, 2450, 3, generator=torch.Generator().manual_seed(0))
    patient = Limits(first_token=60, retries=0)
    server.misbehave()
    ask(model_of(server, limits=patient), noise, "what is it?")
    (request,) = server.requests
    assert 15e6 < request["bytes"] < 21e6
    assert request["pictures"][0]["format"] == "JPEG"
    server.misbehave({"kind": "too large at once"})
    with pytest.raises(ServerFailed) as caught:
        ask(model_of(server, limits=patient), noise, "what is it?")
    assert caught.value.kind in ("size", "lost")  # the connection can break under what is still being sent


def test_a_picture_beyond_what_servers_take_is_not_sent(server: ServerProcess) -> None:
    noise = torch.rand(1, 3000, 3000, 3, generator=torch.Generator().manual_seed(0))
    server.misbehave()
    with pytest.raises(InvalidInput, match=r"3000 x 3000 pixels is \d+ MB"):
        ask(model_of(server), noise, "what is it?")
    assert not server.requests


def test_the_watch_over_the_logs_sees_them(server: ServerProcess, nothing_shows_the_key: list[str]) -> None:
    server.misbehave({**STATUS, "status": 500})
    answers(model_of(server))
    logged = "\n".join(nothing_shows_the_key)
    assert "openai" in logged or "HTTP Request" in logged
    assert "Trying again" in logged
    assert "[key]" in logged


def test_an_exception_that_nobody_looked_at_is_not_printed() -> None:
    async def fail() -> None:
        raise RuntimeError(f"the server said {KEY}")

    async def work(emit: Any) -> int:
        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])
        del task
        gc.collect()
        return 5

    assert run(work, lambda event: None, lambda: None) == 5
    with pytest.raises(ServerFailed) as caught:
        run(lambda emit: fail(), lambda event: None, lambda: None)
    require_no_key(caught.value)
    assert "RuntimeError" in str(caught.value)


class _Stopper:
    """A progress callback that raises as soon as it is told to."""

    def __init__(self) -> None:
        self.now = threading.Event()

    def __call__(self, done: int, total: int) -> None:
        if self.now.is_set():
            raise Cancelled("stopped")


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "silence", "seconds": 20},
        {"kind": "stall", "after": 2, "seconds": 20},
        {"kind": "pings"},
        {"kind": "none", "text": " ".join(["word"] * 2000), "delay": 0.01},
    ],
)
def test_stop_closes_the_connection_promptly(server: ServerProcess, fault: dict[str, Any]) -> None:
    server.misbehave(fault, fault)
    stop = _Stopper()
    threading.Timer(0.5, stop.now.set).start()
    threads = threading.active_count()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        ask(model_of(server, limits=Limits()), PICTURE.expand(2, -1, -1, -1), "what is it?", on_progress=stop)
    stopped = time.time()
    assert time.monotonic() - began < 1.5
    assert threading.active_count() <= threads + 1
    for _ in range(40):
        if len(server.log()["gone"]) == 2:
            break
        time.sleep(0.05)
    assert len(server.log()["gone"]) == 2
    assert max(server.log()["gone"]) - stopped < 1


def test_stop_ends_a_wait_between_attempts(server: ServerProcess) -> None:
    server.misbehave({**STATUS, "status": 429, "headers": {"Retry-After": "30"}})
    stop = _Stopper()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        ask(model_of(server, limits=Limits()), PICTURE, "x", on_progress=stop, on_notice=lambda _: stop.now.set())
    assert time.monotonic() - began < 1.5


def test_one_failure_of_a_batch_ends_the_others(server: ServerProcess) -> None:
    slow = {"kind": "stall", "after": 1, "seconds": 20}
    server.misbehave(slow, slow, {**STATUS, "status": 400})
    with pytest.raises(ServerFailed):
        ask(model_of(server, limits=Limits()), PICTURE.expand(3, -1, -1, -1), "what is it?")
    for _ in range(40):
        if len(server.log()["gone"]) == 2:
            break
        time.sleep(0.05)
    assert len(server.log()["gone"]) == 2


@pytest.mark.parametrize(
    ("body", "says"), [(PAGE, "web page"), ("{}", "chat answer"), ("[1, 2]", "chat answer"), ("{", "JSON")]
)
def test_a_list_of_models_that_is_none_is_explained(server: ServerProcess, body: str, says: str) -> None:
    kind = "text/html" if body == PAGE else "application/json"
    server.misbehave({"kind": "list", "on": "models", "body": body, "headers": {"Content-Type": kind}})
    with pytest.raises(ServerFailed, match=says) as caught:
        model_of(server).list_models()
    require_no_key(caught.value)


def test_the_models_are_listed_after_trouble(server: ServerProcess) -> None:
    server.misbehave({"kind": "list", "on": "models", "body": "{}", "status": 503})
    assert model_of(server).list_models() == ("scripted-lvlm",)


def test_a_model_that_sees_and_one_that_does_not_are_told_apart(server: ServerProcess) -> None:
    server.misbehave()
    assert probe(model_of(server)).sees is True
    server.misbehave(*[{"kind": "none", "text": "It is a lovely blue."}] * 3)
    blind = probe(model_of(server))
    assert blind.sees is False
    assert "does not look" in blind.reason
    server.misbehave(*[{**STATUS, "status": 400, "body": {"error": "image input is not supported"}}] * 3)
    assert probe(model_of(server)).sees is False
    server.misbehave(*[{"kind": "none", "text": text} for text in ("warm", "cold", "nice")])
    assert probe(model_of(server)).sees is None
    server.misbehave(*[{**STATUS, "status": 500}] * 9)
    with pytest.raises(ServerFailed):
        probe(model_of(server))


def test_without_the_client_library_the_error_names_the_line_to_install(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingPackage, match="pip install 'openai>="):
        answers(model_of(server))
