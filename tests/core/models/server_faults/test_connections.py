"""What is in the way before a server answers: nobody there, the wrong protocol, a picture that is too large."""

import contextlib
import socket

import pytest
import torch
from pack.api_core.answering import ask
from pack.api_core.errors import InvalidInput, MissingPackage, ServerFailed
from pack.api_core.models.server import Limits, Profile, ServerModel
from pack.tests.core.models.server_faults.asking import (
    HASTY,
    answers,
    model_of,
    refused,
)
from pack.tests.servers.process import ServerProcess

pytestmark = pytest.mark.slow  # each waits for a server of its own, or for its silence


def test_where_nothing_listens_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    waits: list[str] = []
    model = ServerModel(Profile("test", f"http://127.0.0.1:{port}"), "m", limits=HASTY)
    error = refused(model, on_notice=waits.append)
    assert (error.kind, "refused" in str(error)) == ("unreachable", True)
    assert not waits, "it was tried again"


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


def test_without_the_client_library_the_error_names_the_line_to_install(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingPackage, match="pip install 'openai>="):
        answers(model_of(server))
