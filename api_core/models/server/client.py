"""Ask a server several things at once: requests, retries, and what the caller is told meanwhile."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from torch import Tensor

from ...errors import InvalidInput, shortened
from ...pictures import to_pil
from ...texts import clean
from ..conversation.case import Case
from .background_loop import time_limit
from .failures import Failure, explain, garbled
from .openai_client import Server
from .read_stream import OnText, ServerReply, read_answer

T = TypeVar("T")

PNG_UP_TO = 2 * 1024 * 1024
"""Pixels. Up to this a picture goes as PNG, exactly as it is; a larger one as JPEG of quality 95 without subsampling,
which no eye tells apart and which is a fifth of the bytes."""

LARGEST = 20_000_000
"""Bytes of one picture's data address: what hosted servers take at most."""
_LISTING = 20.0  # seconds that a list of models may take


async def list_models(server: Server, notice: Callable[[str], None]) -> tuple[str, ...]:
    """The names of the server's models. notice: as Session's. Raises Failure."""
    async with server.open() as client:
        session = Session(server, client, notice)
        return await session.repeat(session.models)


async def answer_all(
    server: Server,
    model: str,
    cases: Sequence[Case],
    settings: Mapping[str, Any],
    notice: Callable[[str], None],
    on_text: Callable[[int, str, int, tuple[str, str]], None],
) -> list[ServerReply]:
    """A reply to each case, at most `limits.at_once` under way together. The first failure ends them all.

    on_text: takes a case's index, and what OnText does.
    """
    async with server.open() as client:
        session = Session(server, client, notice)
        if not model:
            names = await session.repeat(session.models)
            if len(names) != 1:
                raise Failure(f"Which model of {server.profile.name}? {_listed(names)}", "model")
            (model,) = names
        gate = asyncio.Semaphore(server.limits.at_once)

        async def one(row: int, case: Case) -> ServerReply:
            async with gate:
                messages = await asyncio.to_thread(chat_messages, case)
                request = {"model": model, "messages": messages, **deepcopy(dict(settings))}
                if case.seed is not None and "seed" in request:
                    request["seed"] = case.seed
                return await session.answer(request, partial(on_text, row))

        tasks = [asyncio.ensure_future(one(row, case)) for row, case in enumerate(cases)]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Session:
    """An open client of the library. notice: takes lines that people may want to read, such as of another attempt."""

    server: Server
    client: Any
    notice: Callable[[str], None]

    async def answer(self, request: dict[str, Any], on_text: OnText) -> ServerReply:
        """The reply to a request, from which the settings that the server does not take are removed."""
        notes: list[str] = []
        with_confidence, refused = "logprobs" in request, ""
        while True:
            try:
                answer = await self.repeat(lambda: read_answer(self.client, request, self.server, on_text))
            except Failure as failure:
                if _without_confidence(request, failure):
                    refused = f"refuses the request for it: {failure}"
                    continue
                note = _without(request, failure.parameter)
                if note is None:
                    raise await self._with_names(failure) from None
                notes.append(note)
                self.notice(f"{self.server.profile.name}: {note}")
                continue
            answer.notes += notes
            answer.untold = refused or answer.untold
            return answer.reply(with_confidence)

    async def repeat(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call `attempt` until it works, cannot work, or patience ends; wait in between, as told or twice as long."""
        limits, number = self.server.limits, 1
        while True:
            try:
                return await attempt()
            except Failure as failed:
                failure = failed
            if not failure.transient:
                raise failure
            if number > limits.retries:
                raise failure.final(f"That was attempt {number}." if number > 1 else "")
            wait = failure.wait
            if wait is None:
                wait = limits.first_wait * 2 ** (number - 1) * random.uniform(0.8, 1.2)
            if wait > limits.longest_wait:
                raise failure.final(f"It asks to be left alone for {wait:.0f} s.")
            number += 1
            self.notice(f"{failure} Trying again in {wait:.1f} s ({number} of {limits.retries + 1}).")
            await asyncio.sleep(wait)

    async def models(self) -> tuple[str, ...]:
        """The names of the server's models, asked for once."""
        server = self.server
        try:
            with time_limit(server.limits.connect + _LISTING):
                text = (await self.client.models.with_raw_response.list()).http_response.text
        except TimeoutError:
            raise Failure(f"{server.where} did not list its models within {_LISTING:g} s.", "slow") from None
        except Exception as error:  # noqa: BLE001 - whatever the library raises is explained, never passed on
            raise explain(error, server) from None
        try:
            entries = json.loads(text)["data"] or ()  # Ollama without a model lists null
            return tuple(clean(str(entry["id"])) for entry in entries)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise garbled(text, server) from None

    async def _with_names(self, failure: Failure) -> Failure:
        """A failure about the model's name, with the names there are."""
        if failure.kind != "model":
            return failure
        try:
            return failure.final(_listed(await self.models()))
        except Failure:
            return failure


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(shortened, names[:20])) + (", …" if len(names) > 20 else "")
    return f"It has: {shown}." if names else "It lists none: load one there first."


def chat_messages(case: Case) -> list[dict[str, Any]]:
    """A case as the chat endpoint takes it: the system prompt, then the turns, of one the pictures and the question."""
    pictures = iter(case.pictures)
    messages: list[dict[str, Any]] = (
        [{"role": "system", "content": case.system_prompt}] if case.system_prompt.strip() else []
    )
    for turn in case.conversation:
        content: Any = [
            {"type": "image_url", "image_url": {"url": data_url(next(pictures))}}
            if part is None
            else {"type": "text", "text": part}
            for part in turn.parts
        ]
        if turn.role == "assistant":  # what a model said is a text everywhere
            content = "\n".join(part["text"] for part in content)
        messages.append({"role": turn.role, "content": content})
    return messages


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
    if parameter == "stream_options" and parameter in request:
        del request[parameter]
        return "the server does not count tokens while it streams"
    for holder in (request, request.get("extra_body", {})):
        if parameter in ("temperature", "top_p", "top_k", "seed") and parameter in holder:
            del holder[parameter]
            return f"the model takes no {parameter}; its own was used"
    return None


def _without_confidence(request: dict[str, Any], failure: Failure) -> bool:
    """Take the wish for log-probabilities out of the request where it may be what the server fails at."""
    named = failure.parameter and failure.parameter != "logprobs"
    if "logprobs" not in request or named or failure.kind not in ("refused", "trouble"):
        return False
    del request["logprobs"]
    del request["extra_body"]["stream"]
    return True
