"""The command `serve` in a process of its own: it forwards to a server profile, and takes its clients' key."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pack.api_core.command_line import main
from pack.tests.core.serving.conftest import QUESTION, chat, user
from pack.tests.core.serving.test_stopping import serve
from pack.tests.servers.process import running
from torch import Tensor

KEY = "sk-clients-0123456789"


@contextlib.contextmanager
def started(*options: str, **environment: str) -> Iterator[tuple[str, str]]:
    """The served model's name, and where."""
    with serve(*options, **environment) as process:
        try:
            assert process.stdout is not None
            name, _, rest = process.stdout.readline().partition(" answers at ")
            yield name, urlsplit(rest.split(";")[0]).netloc
        finally:
            process.kill()


def ask(place: str, body: dict[str, Any], key: str = "") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(place, timeout=60)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    try:
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_it_forwards_the_prompted_picture_to_the_only_model_of_a_server(scene: Tensor, tmp_path: Path) -> None:
    with running() as behind:
        assert main(["servers", "add", "mine", behind.address, "--folder", str(tmp_path)]) == 0
        options = ("--server", "mine", "--folder", str(tmp_path), "--prompted-by", "tiny-clip", "--contrast", "10")
        with started(*options, "--style", "fade", "--system-prompt", "Be brief.") as (name, place):
            assert name == "scripted-lvlm"
            status, answer = ask(place, chat(user(scene, QUESTION), temperature=0.5, seed=3) | {"model": name})
        (asked,) = behind.requests
    assert status == 200, answer
    assert answer["choices"][0]["message"]["content"] == f"answer to {QUESTION} with 1 pictures"
    assert asked["texts"] == ["Be brief.", QUESTION]
    assert {key: asked["settings"][key] for key in ("temperature", "seed", "top_p")} == {
        "temperature": 0.5,
        "seed": 3,
        "top_p": 1.0,
    }
    (shown,) = asked["pictures"]
    assert sum(shown["corner"]) < sum(float(level) for level in scene[0, 0]) * 255


def test_the_key_comes_from_a_variable_and_is_never_shown(scene: Tensor, capfd: pytest.CaptureFixture[str]) -> None:
    with started("tiny-lvlm", "--key-variable", "CLIENTS_KEY", CLIENTS_KEY=KEY) as (name, place):
        assert ask(place, chat(user(scene, QUESTION)))[0] == 401
        status, refused = ask(place, chat(user(scene, QUESTION)), KEY + "x")
        assert (status, refused["error"]["code"]) == (401, "invalid_api_key")
        assert KEY not in json.dumps(refused)
        status, answer = ask(place, chat(user(scene, QUESTION)), KEY)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "square")
    assert name == "tiny-lvlm"
