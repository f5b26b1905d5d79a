"""Work ends soon after nobody waits for it: a client that goes away, and Ctrl-C."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.models.server import Profile, connect
from pack.api_core.serving.endpoint import Endpoint
from pack.api_core.serving.prompt_then_answer import Serving
from pack.api_core.serving.read_messages import Conversation
from pack.api_core.serving.read_request import ChatRequest
from pack.api_core.serving.refusal import Refused
from pack.api_core.serving.request_queue import Job, RequestQueue
from pack.tests.core.serving.conftest import QUESTION, chat, send, served, user
from pack.tests.servers.process import running
from torch import Tensor

SOON = 5.0
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def talkative(zoo_folder: Callable[[str], Path]) -> Iterator[Endpoint]:
    """A model that does not end its answers."""
    model = load_lvlm(zoo_folder("qwen2.5-vl"), device="cpu")
    vars(model)["ends"] = frozenset()
    model.module.generation_config.eos_token_id = None
    with served(Serving(model, "tiny-lvlm", at_once=1)) as endpoint:
        yield endpoint


def endless(scene: Tensor, **more: Any) -> bytes:
    return json.dumps(chat(user(scene[::8, ::8].contiguous(), QUESTION), **{"max_tokens": 100_000, **more})).encode()


def asked(endpoint: Endpoint, body: bytes) -> socket.socket:
    """A connection that a request was sent on."""
    host, port = urlsplit(endpoint.address).netloc.split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)
    return connection


def busy(endpoint: Endpoint) -> int:
    requests = endpoint.service.requests
    return len(requests._under_way) + len(requests._waiting)


def wait_for(what: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.02)
    return what()


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_the_work(talkative: Endpoint, scene: Tensor, stream: bool) -> None:
    connection = asked(talkative, endless(scene, stream=stream))
    if stream:
        assert connection.recv(15).startswith(b"HTTP/1.1 200")
    assert wait_for(lambda: busy(talkative) == 1, 10)
    time.sleep(3)
    assert busy(talkative) == 1  # it would go on for long
    connection.close()
    assert wait_for(lambda: busy(talkative) == 0, SOON)
    assert send(talkative, endless(scene, max_tokens=2))[0] == 200


def test_one_that_goes_away_while_it_waits_is_never_asked(talkative: Endpoint, scene: Tensor) -> None:
    first = asked(talkative, endless(scene, stream=True))
    assert first.recv(15).startswith(b"HTTP/1.1 200")
    second = asked(talkative, endless(scene, seed=1, temperature=1))
    assert wait_for(lambda: busy(talkative) == 2, 10)
    second.close()
    time.sleep(0.5)
    assert busy(talkative) == 2  # the first goes on
    first.close()
    assert wait_for(lambda: busy(talkative) == 0, SOON)


def test_a_server_behind_is_left_when_the_client_goes_away(scene: Tensor) -> None:
    with running() as behind:
        model = connect(Profile("behind", behind.address), "scripted-lvlm")
        with served(Serving(model, "tiny-lvlm")) as endpoint:
            behind.misbehave({"kind": "stall", "after": 1, "seconds": 60, "text": "one two three"})
            connection = asked(endpoint, endless(scene, stream=True))
            assert wait_for(lambda: busy(endpoint) == 1 and bool(behind.requests), 10)
            connection.close()
            assert wait_for(lambda: busy(endpoint) == 0, SOON)
            assert wait_for(lambda: bool(behind.log()["gone"]), SOON)


def test_requests_that_wait_for_the_same_are_answered_together(lvlm: Callable[[str], Any], scene: Tensor) -> None:
    model = lvlm("qwen2.5-vl")
    counts = []
    once = model.prepare

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

        def prepare(self, cases: Any, **how: Any) -> Any:
            counts.append(len(cases))
            return once(cases, **how)

    with served(Serving(Counting(), "tiny-lvlm", at_once=3)) as endpoint:
        first = asked(endpoint, endless(scene, stream=True, max_tokens=60))
        assert wait_for(lambda: busy(endpoint) == 1 and counts == [1], 10)
        others: list[Any] = []
        threads = [
            threading.Thread(target=lambda: others.append(send(endpoint, endless(scene, max_tokens=4))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        first.close()
    texts = {answer["choices"][0]["message"]["content"] for status, answer in others if status == 200}
    assert len(others) == 4
    assert len(texts) == 1
    assert sorted(counts) == [1, 1, 3]


def test_a_window_that_is_shut_ends_no_answering() -> None:
    def answer(jobs: Sequence[Job]) -> None:
        raise ZeroDivisionError

    def shut(text: str) -> None:
        raise BrokenPipeError

    requests = RequestQueue(answer, threads=1, at_once=1, on_trouble=shut)
    for _ in range(2):
        job = Job(ChatRequest("any", Conversation("", ())), key=None)
        requests.add(job)
        refused = job.events.get(timeout=SOON)
        assert isinstance(refused, Refused)
        assert refused.status == 500
    requests.close()


def serve(*options: str, **environment: str) -> subprocess.Popen[str]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from api_core.command_line import run; run()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0", "--device", "cpu", *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_ends_the_command(lvlm: Callable[[str], Any], zoo_folder: Callable[[str], Path], scene: Tensor) -> None:
    with serve(str(zoo_folder("qwen2.5-vl")), "--prompted-by", "tiny-clip") as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            name, _, rest = said.partition(" answers at ")
            address = rest.split(";")[0]
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
            body = json.loads(endless(scene, stream=True)) | {"model": name}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.readline().startswith(b"data: ")
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert time.monotonic() - began < 10
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--host", "0.0.0.0"), "Without a key only this machine"),
        (("--key-variable", "NOT_SET_ANYWHERE"), "is not set"),
        (("--keep", "surer"), "add --prompted-by MODEL"),
        (("--contrast", "5"), "add --prompted-by MODEL"),
        (("--prompted-by", "tiny-clip", "--keep", "surer", "--temperature", "1"), "greedily"),
        (("--prompted-by", "tiny-lvlm", "--least-presence", "3"), "--least-presence is for a CLIP"),
        (("--prompted-by", "tiny-clip", "--method", "few heads"), "--prompted-by tiny-clip has no method"),
        (("--template", "hint"), "which requests do not have"),
        (("tiny-lvlm", "--server", "ollama"), "Leave one of them out"),
        (("--server", "ollama", "--server-model", "x", "--decoding", "AvisC"), "needs the model itself"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_said_at_once(options: tuple[str, ...], says: str, capsys: Any) -> None:
    from pack.api_core.command_line import main

    assert main(["serve", "--port", "0", "--device", "cpu", *options]) == 2
    written = capsys.readouterr()
    assert says in written.err
    assert written.err.count("\n") == 1
