"""Ask a misbehaving server, and search what comes of it for the key."""

import io
import traceback
from typing import Any

import pytest
import torch
from pack.api_core.answering import Answer, ask
from pack.api_core.errors import ServerFailed
from pack.api_core.models.server import Limits, Profile, Secret, ServerModel
from pack.tests.servers.process import ServerProcess

KEY = "sk-test-5f4dcc3b5aa765d61d8327deb882cf99"
HASTY = Limits(connect=2, first_token=1.0, between_tokens=0.6, retries=2, first_wait=0.02, longest_wait=3)
PICTURE = torch.rand(1, 20, 30, 3, generator=torch.Generator().manual_seed(0))
STATUS: dict[str, Any] = {"kind": "status", "body": {"error": {"message": "no, $KEY, no"}}}


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
