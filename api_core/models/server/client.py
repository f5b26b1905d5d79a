"""Ask a server several things at once: requests, retries, and what the caller is told meanwhile."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ...errors import InvalidInput
from ...pictures import to_pil
from ..conversation.case import Case
from .background_loop import Emit
from .failures import Failure, RequestFailed, explain, garbled
from .openai_client import Limits, open_client
from .profiles import Profile
from .read_stream import Deadline, StreamedAnswer, stream_answer
from .secret import Secret

PNG_UP_TO = 2 * 1024 * 1024
"""Pixels. Up to this a picture goes as PNG, exactly as it is; a larger one as JPEG of quality 95 without subsampling,
which no eye tells apart and which is a fifth of the bytes."""

LARGEST = 20_000_000
"""Bytes of one picture's data address: what hosted servers take at most."""
_LISTING = 20.0  # seconds that a list of models may take


@dataclass(frozen=True)
class TextEvent:
    """An event: the text of `row` so far, of `pieces` tokens (about)."""

    row: int
    text: str
    pieces: int


@dataclass(frozen=True)
class NoticeEvent:
    """An event: a line that people may want to read, such as a wait before another attempt."""

    line: str


@dataclass(frozen=True)
class Server:
    """Where to ask, as whom and how patiently."""

    profile: Profile
    secret: Secret | None
    limits: Limits


async def list_models(server: Server, emit: Emit) -> tuple[str, ...]:
    """The names of the server's models. Raises RequestFailed."""
    async with open_client(server.profile, server.secret, server.limits) as client:
        return await _repeat(server, emit, lambda: _models(client, server))


async def answer_all(
    server: Server, model: str, cases: Sequence[Case], settings: Mapping[str, Any], emit: Emit
) -> list[StreamedAnswer]:
    """An answer for each case, at most `limits.at_once` under way together. The first failure ends them all."""
    async with open_client(server.profile, server.secret, server.limits) as client:
        model = model or await _only_model(client, server, emit)
        gate = asyncio.Semaphore(server.limits.at_once)

        async def one(row: int) -> StreamedAnswer:
            async with gate:
                return await _answer(client, server, model, cases[row], settings, row, emit)

        tasks = [asyncio.ensure_future(one(row)) for row in range(len(cases))]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(
    client: Any, server: Server, model: str, case: Case, settings: Mapping[str, Any], row: int, emit: Emit
) -> StreamedAnswer:
    messages = await asyncio.to_thread(chat_messages, case)
    request = {"model": model, "messages": messages, **settings}
    notes: list[str] = []

    def on_piece(answer: StreamedAnswer) -> None:
        emit(TextEvent(row, answer.so_far, answer.pieces))

    async def attempt() -> StreamedAnswer:
        return await stream_answer(
            client,
            request,
            profile=server.profile,
            secret=server.secret,
            limits=server.limits,
            on_piece=on_piece,
        )

    while True:
        try:
            answer: StreamedAnswer = await _repeat(server, emit, attempt)
        except RequestFailed as failed:
            note = _without(request, failed.failure.parameter)
            if note is None:
                raise RequestFailed(await _with_names(client, server, failed.failure)) from None
            notes.append(note)
            emit(NoticeEvent(f"{server.profile.name}: {note}"))
            continue
        answer.notes += notes
        return answer


async def _repeat(server: Server, emit: Emit, attempt: Any) -> Any:
    """Call `attempt` until it works, it cannot work, or patience ends; wait in between, as told or twice as long."""
    limits = server.limits
    for number in range(limits.retries + 1):
        try:
            return await attempt()
        except RequestFailed as failed:
            failure = failed.failure
        if not failure.transient or number == limits.retries:
            tries = f" That was attempt {number + 1}." if number and failure.transient else ""
            raise RequestFailed(replace(failure, message=failure.message + tries))
        wait = limits.first_wait * 2**number * random.uniform(0.8, 1.2)
        if failure.wait is not None:
            wait = failure.wait
        if wait > limits.longest_wait:
            raise RequestFailed(Failure(f"{failure.message} It asks to be left alone for {wait:.0f} s.", failure.kind))
        emit(NoticeEvent(f"{failure.message} Trying again in {wait:.1f} s ({number + 2} of {limits.retries + 1})."))
        await asyncio.sleep(wait)
    raise AssertionError("unreachable")


def chat_messages(case: Case) -> list[dict[str, Any]]:
    """A case as the chat endpoint takes it: the system prompt, then the pictures in order and the question."""
    pictures = [{"type": "image_url", "image_url": {"url": data_url(picture)}} for picture in case.pictures]
    system = [{"role": "system", "content": case.system_prompt}] if case.system_prompt.strip() else []
    return [*system, {"role": "user", "content": [*pictures, {"type": "text", "text": case.question}]}]


def data_url(picture: Tensor) -> str:
    """A picture, float32 [H, W, 3] in 0..1, as `data:image/png;base64,…` or `data:image/jpeg;base64,…`."""
    height, width = picture.shape[:2]
    kind, settings = ("png", {}) if height * width <= PNG_UP_TO else ("jpeg", {"quality": 95, "subsampling": 0})
    stream = io.BytesIO()
    to_pil(picture).save(stream, format=kind, **settings)
    address = f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
    if len(address) > LARGEST:
        raise InvalidInput(
            f"A picture of {width} x {height} pixels is {len(address) / 1e6:.0f} MB to send; servers take at most "
            f"{LARGEST / 1e6:.0f} MB. Make it smaller first: models see few of so many pixels."
        )
    return address


def _without(request: dict[str, Any], parameter: str) -> str | None:
    """Take a setting that the server does not know out of the request, and say so; None when there is none such."""
    if parameter == "max_tokens" and parameter in request:
        request["max_completion_tokens"] = request.pop(parameter)
        return "the limit of tokens was sent as max_completion_tokens"
    extra = request.get("extra_body", {})
    for holder in (request, extra):
        if parameter in ("temperature", "top_p", "top_k", "seed") and parameter in holder:
            del holder[parameter]
            return f"the model takes no {parameter}; its own was used"
    return None


async def _models(client: Any, server: Server) -> tuple[str, ...]:
    profile, limits = server.profile, server.limits
    message = f"{profile.name} at {profile.address} did not list its models within {_LISTING:g} s."
    try:
        reply = await Deadline(limits.connect + _LISTING, message).keep(client.models.with_raw_response.list())
        text = str(reply.http_response.text)
    except (RequestFailed, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library raises is explained, never passed on
        raise RequestFailed(explain(error, profile, "", server.secret, limits.connect)) from None
    try:
        entries = json.loads(text)["data"] or ()  # Ollama without a model lists null
        return tuple(str(entry["id"]) for entry in entries)
    except (ValueError, KeyError, TypeError):
        raise RequestFailed(garbled(text, profile, server.secret)) from None


async def _only_model(client: Any, server: Server, emit: Emit) -> str:
    names: tuple[str, ...] = await _repeat(server, emit, lambda: _models(client, server))
    if len(names) == 1:
        return names[0]
    raise RequestFailed(Failure(f"Which model of {server.profile.name}? {_listed(names)}", "model"))


async def _with_names(client: Any, server: Server, failure: Failure) -> Failure:
    """A failure about the model's name, with the names there are."""
    if failure.kind != "model":
        return failure
    try:
        names = await _models(client, server)
    except RequestFailed:
        return failure
    return Failure(f"{failure.message} {_listed(names)}", failure.kind)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"It has: {shown}." if names else "It lists none: load one there first."
