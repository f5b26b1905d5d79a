"""An endpoint on this machine, in a thread, and what asks it."""

import base64
import http.client
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pack.api_core.models.clip.load import load_clip
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.pictures import flatten_alpha, to_picture, to_pil
from pack.api_core.progress import Progress
from pack.api_core.prompting import PromptedPicture, prompt_picture
from pack.api_core.serving.endpoint import Endpoint
from pack.api_core.serving.prompt_then_answer import Prompter, Serving
from pack.tests.core.models.conftest import lvlm, zoo_folder
from torch import Tensor

__all__ = ["lvlm", "zoo_folder"]

ASSETS = Path(__file__).resolve().parents[3] / "assets"
QUESTION = "what shape is the red one?"


@pytest.fixture(scope="session")
def scene() -> Tensor:
    return flatten_alpha(to_picture(ASSETS / "scene.png"))


@pytest.fixture(scope="session")
def long_scene() -> Tensor:
    return flatten_alpha(to_picture(ASSETS / "long-scene.png"))


@pytest.fixture(scope="session")
def tiny() -> LvlmModel:
    return load_lvlm("tiny-lvlm", device="cpu")


@pytest.fixture(scope="session")
def prompter() -> Prompter:
    prompt = partial(prompt_picture, model=load_clip("tiny-clip", device="cpu"))

    def prompter(picture: Tensor, query: str, on_progress: Progress) -> PromptedPicture:
        return prompt(picture, query, on_progress=on_progress)

    return prompter


@contextmanager
def served(serving: Serving, **how: Any) -> Iterator[Endpoint]:
    """An endpoint that answers within the block, and that nothing went wrong at."""
    troubles: list[str] = []
    with Endpoint(serving, on_trouble=troubles.append, **how) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.shutdown()
    assert not troubles, troubles[0]


@pytest.fixture(scope="session")
def plain(tiny: LvlmModel) -> Iterator[Endpoint]:
    with served(Serving(tiny, "tiny-lvlm")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def prompting(tiny: LvlmModel, prompter: Prompter) -> Iterator[Endpoint]:
    with served(Serving(tiny, "tiny-lvlm", prompter)) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def openai_client() -> Callable[..., Any]:
    """The official client library for an endpoint."""
    openai = pytest.importorskip("openai", reason="the official client, `openai`, is not installed (extra: standalone)")

    def client(endpoint: Endpoint, key: str = "none") -> Any:
        return openai.OpenAI(base_url=endpoint.address, api_key=key, max_retries=0, timeout=60)

    return client


def data_url(picture: Tensor) -> str:
    stream = io.BytesIO()
    to_pil(picture).save(stream, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def shown(picture: Tensor) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(picture)}}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def user(*parts: str | Tensor) -> dict[str, Any]:
    return {"role": "user", "content": [said(part) if isinstance(part, str) else shown(part) for part in parts]}


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "tiny-lvlm", "messages": list(messages), "max_tokens": 12, **more}


def send(
    endpoint: Endpoint,
    body: bytes | dict[str, Any],
    *,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    connection = http.client.HTTPConnection(urlsplit(endpoint.address).netloc, timeout=60)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **(headers or {})}
    try:
        connection.request(method, path, raw, given)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or "null")
    finally:
        connection.close()
