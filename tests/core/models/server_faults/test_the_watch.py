"""The watch over the key itself, and what asyncio would print of a forgotten failure."""

import asyncio
import gc
from typing import Any

import pytest
from pack.api_core.errors import ServerFailed
from pack.api_core.models.server.background_loop import run
from pack.tests.core.models.server_faults.asking import (
    KEY,
    STATUS,
    answers,
    model_of,
    require_no_key,
)
from pack.tests.servers.process import ServerProcess

pytestmark = pytest.mark.slow  # each waits for a server of its own, or for its silence


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

    async def work(tell: Any) -> int:
        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])
        del task
        gc.collect()
        return 5

    assert run(work, lambda: None) == 5
    with pytest.raises(ServerFailed) as caught:
        run(lambda tell: fail(), lambda: None)
    require_no_key(caught.value)
    assert "RuntimeError" in str(caught.value)
