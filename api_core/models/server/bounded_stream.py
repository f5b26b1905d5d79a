"""How much of a server is read: so many bytes, none of them compressed, and the events among them, each byte once."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

MOST_BYTES = 32_000_000
"""Of one response: twice what the longest answer takes with all that servers tell of each token."""


class TooMuch(Exception):
    """A response of more than MOST_BYTES."""


class Compressed(Exception):
    """A response that is compressed although that was not asked for: a few bytes could become any number."""


def bounding(openai: Any) -> Callable[[Any], Awaitable[None]]:
    """What the client library's transport calls with each response before it is read.

    openai: the library, whose releases stand on different transports.
    """
    transport = openai.DefaultAsyncHttpxClient.__mro__[1].__module__.split(".")[0]
    stream_class: Any = importlib.import_module(transport).AsyncByteStream

    class Bounded(stream_class):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            read = 0
            async for chunk in self._inner:
                read += len(chunk)
                if read > MOST_BYTES:
                    raise TooMuch
                yield chunk

        async def aclose(self) -> None:
            await self._inner.aclose()

    async def bound(response: Any) -> None:
        if response.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
            raise Compressed
        response.stream = Bounded(response.stream)

    return bound


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each event of a `text/event-stream`; every byte is looked at once, however it is cut into chunks."""
    data: list[bytes] = []
    async for line in _lines(chunks):
        if line.startswith(b"data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    begun: list[bytes] = []
    async for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            yield b"".join([*begun, chunk[start:end]]).rstrip(b"\r")
            begun, start = [], end + 1
        begun.append(chunk[start:])
    yield b"".join(begun)
