"""What is wrong with a request is said in one line with a status of 4xx; the endpoint goes on."""

import base64
import http.client
import json
import random
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from pack.api_core.errors import InvalidInput
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.serving.endpoint import Endpoint
from pack.api_core.serving.prompt_then_answer import Serving
from pack.tests.core.serving.conftest import QUESTION, chat, data_url, send, user
from torch import Tensor

Mutation = Callable[[random.Random, dict[str, Any]], bytes | dict[str, Any]]
WRONG: tuple[Any, ...] = (7, -1.5, True, "", " ", "x" * 5000, [], {}, [[]], [{}], [None], {"a": {"b": []}}, "\ud83d")
OUT_OF_REACH: dict[str, tuple[Any, ...]] = {
    "temperature": (-0.1, 101, "1", True, [], 10**400),
    "top_p": (-1, 1.01, "0.5", {}),
    "top_k": (-2, 1.5, "4", 1 << 40),
    "max_tokens": (0, -1, 1.5, "12", 1 << 30, True),
    "max_completion_tokens": (0, 13, None.__class__.__name__),
    "seed": (-1, 1.5, 1 << 64, "7"),
    "stop": ([""], "", [1], {"a": 1}, ["x"] * 17, ["\ud83d"], 5),
    "stream": (1, "true", []),
    "stream_options": ({"include_usage": 1}, {"other": True}, [], "x"),
    "n": (0, 2, True, "1"),
    "logprobs": ("yes", 1),
    "top_logprobs": (3,),
    "frequency_penalty": (0.5, "0"),
    "presence_penalty": (-2, True),
    "logit_bias": ({"50256": -100}, []),
    "tools": ([{"type": "function"}], {}),
    "tool_choice": ("required", {}),
    "response_format": ({"type": "json_object"}, "text"),
    "reasoning_effort": ("low",),
    "messages": (None, [], {}, "hi", [None], [[]], ["hi"], [{}]),
    "model": (None, "", "gpt-4o", 5, ["tiny-lvlm"]),
}


def png_header(width: int, height: int) -> bytes:
    """A PNG of that size, whose pixels are missing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    sizes = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", sizes) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def as_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture_of(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["messages"][0]["content"][0]["image_url"]
    return found


def cut_short(dice: random.Random, request: dict[str, Any]) -> bytes:
    raw = json.dumps(request).encode()
    return raw[: dice.randrange(len(raw) - 1)]


def no_json(dice: random.Random, request: dict[str, Any]) -> bytes:
    raw = json.dumps(request).encode()
    noise = (
        bytes([0xC3, 0x28])
        if dice.random() < 0.3
        else dice.choice([b"NaN", b"]", b"\x00", b"{", b"\xff", b"-Infinity"])
    )
    return dice.choice([noise + raw, raw + noise, raw.replace(b"12", noise)])


def nested(dice: random.Random, request: dict[str, Any]) -> bytes:
    depth = dice.choice([20, 500, 5000, 200_000])
    raw = json.dumps(request).encode()
    return raw[:-1] + b', "metadata": ' + b"[" * depth + b"]" * depth + b"}"


def wrong_setting(dice: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    name = dice.choice(sorted(OUT_OF_REACH))
    return request | {name: dice.choice(OUT_OF_REACH[name])}


def unknown_setting(dice: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    return request | {dice.choice(["prompt", "messages ", "\ud83d", "", "guided_json", "x" * 9000]): dice.choice(WRONG)}


def wrong_part(dice: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    message, wrong = request["messages"][0], dice.choice(WRONG)
    which = dice.randrange(6)
    if which == 0:
        message["role"] = wrong
    elif which == 1:
        message["content"] = dice.choice([None, 7, True, "", " ", [], {}, [[]], [{}], [None], ["hi"]])
    elif which == 2:
        message["content"][dice.randrange(2)] = wrong
    elif which == 3:
        message["content"][1]["text"] = dice.choice([None, 7, True, "", [], {}, "\ud83d"])
    elif which == 4:
        message["content"][dice.randrange(2)]["type"] = wrong
    else:
        message["content"][0]["image_url"] = wrong
    return request


def wrong_turns(dice: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    (asked,) = request["messages"]
    hello = {"role": "assistant", "content": "hello"}
    request["messages"] = dice.choice(
        [
            [asked, hello],
            [hello],
            [asked, {"role": "system", "content": "late"}, asked],
            [{"role": "system", "content": asked["content"]}, asked],
            [{"role": "tool", "content": "x"}, asked],
            [asked | {"role": "assistant"}, asked],
            [{"role": "user", "content": asked["content"][:1]}],
            [{**hello, "tool_calls": [{"id": "1"}]}, asked],
            [asked] * 1001,
        ]
    )
    return request


def wrong_picture(dice: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    picture = picture_of(request)
    data = base64.b64decode(picture["url"].split(",")[1])
    picture["url"] = dice.choice(
        [
            lambda: as_url(data[: dice.randrange(len(data) // 2)]),
            lambda: as_url(dice.randbytes(dice.randrange(3000))),
            lambda: as_url(png_header(dice.choice([60_000, 1 << 31]), dice.choice([60_000, (1 << 31) - 1]))),
            lambda: as_url(png_header(9_500, 9_500)),
            lambda: as_url(png_header(0, 5)),
            lambda: as_url(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/eps"),
            lambda: as_url(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
            lambda: as_url(data).replace(";base64", ""),
            lambda: as_url(data)[:-3] + "*",
            lambda: "data:text/html;base64," + base64.b64encode(data).decode(),
            lambda: "http://127.0.0.1:9/picture.png",
            lambda: "https://localhost/picture.png",
            lambda: "file:///etc/hostname",
            lambda: "/etc/hostname",
            lambda: "..\\picture.png",
            lambda: "\ud83d",
        ]
    )()
    return request


MUTATIONS: tuple[Mutation, ...] = (
    cut_short, no_json, nested, wrong_setting, wrong_setting, unknown_setting, wrong_part, wrong_turns, wrong_picture,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_bad_bodies_are_refused_in_one_line(prompting: Endpoint, scene: Tensor, seed: int) -> None:
    dice = random.Random(seed)
    small = scene[::4, ::4].contiguous()
    for number in range(25):
        mutation = MUTATIONS[(25 * seed + number) % len(MUTATIONS)]
        body = mutation(dice, chat(user(small, QUESTION)))
        status, answer = send(prompting, body)
        what = f"{mutation.__name__}: {str(body)[-300:]}: {answer}"
        assert status in (400, 404, 413), what
        error = answer["error"]
        assert set(error) == {"message", "type", "param", "code"}, what
        assert error["message"], what
        assert "\n" not in error["message"], what
        assert len(error["message"]) < 500, what
        assert error["type"] == "invalid_request_error", what
    status, answer = send(prompting, chat(user(small, QUESTION)))
    assert status == 200, answer


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_to_a_body_is_an_error_of_the_server(plain: Endpoint, scene: Tensor, seed: int) -> None:
    dice = random.Random(seed)
    raw = json.dumps(chat(user(scene[::4, ::4].contiguous(), QUESTION), max_tokens=2)).encode()
    found = set()
    for _ in range(25):
        damaged = bytearray(raw)
        for _ in range(dice.choice([1, 1, 3, 30])):
            damaged[dice.randrange(len(raw))] = dice.choice(b'{}[]",:0123456789abcdefXYZ+/=\\ \x00\xff')
        found.add(send(plain, bytes(damaged))[0])
    assert found <= {200, 400, 404}
    assert 400 in found


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "PNG"])
def test_damaged_pictures_are_refused_or_read(plain: Endpoint, scene: Tensor, kind: str) -> None:
    import io

    from pack.api_core.pictures import to_pil
    from PIL import Image, PngImagePlugin

    dice = random.Random(kind)
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    text = PngImagePlugin.PngInfo()
    text.add_itxt("note", "x" * 2000, zip=True)
    more: dict[str, Any] = {"exif": exif} if kind in ("JPEG", "WEBP", "PNG") else {}
    more |= {"pnginfo": text} if kind == "PNG" else {}
    to_pil(scene[::8, ::8].contiguous()).save(stream, format=kind, **more)
    data = stream.getvalue()
    request = chat(user(scene, QUESTION), max_tokens=1)
    picture_of(request)["url"] = as_url(data, "image/anything")
    assert send(plain, request)[0] == 200
    for _ in range(25):
        damaged = bytearray(data)
        for _ in range(dice.choice([1, 5, 40])):
            damaged[dice.randrange(min(len(data), dice.choice([100, 1 << 20])))] = dice.randrange(256)
        picture_of(request)["url"] = as_url(bytes(damaged))
        status, answer = send(plain, request)
        assert status in (200, 400), answer


def test_nothing_is_fetched_and_no_file_is_read(plain: Endpoint, scene: Tensor, tmp_path: Any) -> None:
    from pack.api_core.pictures import to_pil

    to_pil(scene).save(tmp_path / "picture.png")
    with socket.create_server(("127.0.0.1", 0)) as watch:
        watch.settimeout(0.3)
        port = watch.getsockname()[1]
        addresses = [
            f"{scheme}://{host}:{port}/picture.png"
            for scheme in ("http", "https", "ftp")
            for host in ("127.0.0.1", "localhost")
        ]
        addresses += [str(tmp_path / "picture.png"), (tmp_path / "picture.png").as_uri(), f"//127.0.0.1:{port}/x"]
        for address in addresses:
            request = chat(user(scene, QUESTION))
            picture_of(request)["url"] = address
            status, answer = send(plain, request)
            assert (status, answer["error"]["code"]) == (400, "invalid_image_url")
            assert answer["error"]["param"] == "messages[0].content[0].image_url.url"
            assert "data:image/png;base64" in answer["error"]["message"]
        with pytest.raises(TimeoutError):
            watch.accept()


def test_more_text_than_the_model_reads_is_refused(plain: Endpoint, scene: Tensor, tiny: LvlmModel) -> None:
    most = tiny.config.get_text_config().max_position_embeddings
    status, answer = send(plain, chat(user(scene, "red " * 2 * most)))
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
    assert str(most) in answer["error"]["message"]
    assert send(plain, chat(user(scene, "x" * 400_001)))[0] == 400


def test_many_pictures_count_together(plain: Endpoint, scene: Tensor) -> None:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (6000, 8000)).save(stream, format="PNG")
    request = chat(user(scene, scene, QUESTION))
    for part in request["messages"][0]["content"][:2]:
        part["image_url"]["url"] = as_url(stream.getvalue())
    status, answer = send(plain, request)
    assert (status, answer["error"]["param"]) == (400, "messages[0].content[1].image_url.url")
    assert "6000 x 8000 pixels" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"path": "/v1/completions"}, 404),
        ({"path": "/"}, 404),
        ({"path": "/v1/models/other", "method": "GET"}, 404),
        ({"method": "GET"}, 405),
        ({"path": "/v1/models"}, 405),
        ({"method": "DELETE"}, 501),
        ({"headers": {"Content-Type": "text/plain"}}, 415),
        ({"headers": {"Host": "somewhere.example"}}, 403),
        ({"headers": {"Host": "["}}, 403),
        ({"headers": {"Content-Length": "-5"}}, 400),
        ({"headers": {"Content-Length": "9" * 40}}, 413),
        ({"headers": {"Content-Length": str((32 << 20) + 1)}}, 413),
        ({"headers": {"Transfer-Encoding": "chunked"}}, 411),
        ({"headers": {f"X-{number}": "x" for number in range(200)}}, 431),
        ({"headers": {"X": "x" * 70_000}}, 431),
        ({"path": "/" + "x" * 70_000}, 414),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_http_is_said_too(
    plain: Endpoint, scene: Tensor, how: dict[str, Any], status: int
) -> None:
    found, answer = send(plain, json.dumps(chat(user(scene, QUESTION))).encode(), **how)
    assert found == status
    assert answer["error"]["message"]
    assert send(plain, b"", path="/v1/models", method="GET")[0] == 200


def test_a_client_that_asks_first_sends_nothing_that_is_too_large(plain: Endpoint) -> None:
    host, port = urlsplit(plain.address).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        lines = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
        lines += [f"Content-Length: {33 << 20}", "Expect: 100-continue", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_one_connection_takes_several_requests_and_refusals(plain: Endpoint, scene: Tensor) -> None:
    connection = http.client.HTTPConnection(urlsplit(plain.address).netloc, timeout=60)
    headers = {"Content-Type": "application/json"}
    seen = []
    for body in (b"{}", json.dumps(chat(user(scene, QUESTION))).encode(), b"[]"):
        connection.request("POST", "/v1/chat/completions", body, headers)
        own = connection.sock
        answer = connection.getresponse()
        answer.read()
        seen.append((answer.status, own))
    assert [status for status, _ in seen] == [400, 200, 400]
    assert len({id(own) for _, own in seen}) == 1
    connection.close()


def test_a_body_that_nobody_reads_is_no_request(plain: Endpoint) -> None:
    host, port = urlsplit(plain.address).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        body = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(body[:-2] + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        connection.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.count(b"HTTP/1.1") == 1


def test_a_thread_that_cannot_start_takes_no_place(
    tiny: LvlmModel, scene: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Endpoint(Serving(tiny, "tiny-lvlm")) as endpoint, socket.socket() as nobody:

        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", start)
        for _ in range(600):
            with pytest.raises(RuntimeError):
                endpoint.process_request(nobody, ("127.0.0.1", 1))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1"])
def test_without_a_key_others_cannot_ask(tiny: LvlmModel, host: str) -> None:
    threads = threading.active_count()
    with pytest.raises(InvalidInput, match="Without a key only this machine"):
        Endpoint(Serving(tiny, "tiny-lvlm"), host)
    assert threading.active_count() == threads


def test_a_port_that_is_taken_is_said(tiny: LvlmModel, plain: Endpoint) -> None:
    with pytest.raises(InvalidInput, match="Cannot listen at"):
        Endpoint(Serving(tiny, "tiny-lvlm"), port=plain.server_address[1])


def test_data_urls_of_other_spellings_are_read(plain: Endpoint, scene: Tensor) -> None:
    body = data_url(scene).split(",")[1]
    for beginning in (
        "data:image/png;base64",
        "DATA:IMAGE/PNG;BASE64",
        "data:image/jpeg;charset=utf-8;base64",
        "data:;base64",
    ):
        request = chat(user(scene, QUESTION))
        picture_of(request)["url"] = f"{beginning},{body}"
        assert send(plain, request)[0] == 200, beginning
