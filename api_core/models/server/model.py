"""An LVLM that answers on a server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...progress import Progress, ignore_progress
from ...settings import require_number
from ..conversation.case import Case
from . import client
from .background_loop import run
from .openai_client import Limits, Server, require_library
from .profiles import Profile, find_profile
from .read_stream import ServerReply

logger = logging.getLogger(__name__)

SETTINGS = ("temperature", "top_p", "top_k", "seed")
"""What can be set of how a server picks its tokens. top_k is no part of OpenAI's interface; most engines know it."""


class ServerModel:
    """A model on an OpenAI-compatible server, chosen by profile and name. It holds no connection and no weights.

    model: as the server calls it; empty for the only one that it has.
    """

    def __init__(self, profile: Profile, model: str = "", *, limits: Limits | None = None) -> None:
        if not model.isprintable():
            raise InvalidInput("The name of the server's model holds a line break or another sign that no name has.")
        self.profile = profile
        self.model = model.strip()
        self.limits = limits or (Limits(first_token=profile.patience) if profile.patience else Limits())

    @property
    def name(self) -> str:
        return f"{self.model or 'the model'} at {self.profile.name}"

    def __repr__(self) -> str:
        return f"ServerModel({self.profile.name!r}, {self.profile.address!r}, {self.model!r})"

    def list_models(
        self, *, on_progress: Progress = ignore_progress, on_notice: Callable[[str], None] | None = None
    ) -> tuple[str, ...]:
        """The models that the server offers now. A name that is not among them may be asked for all the same."""
        server, notice = self._server(), on_notice or logger.warning
        return run(lambda tell: client.list_models(server, partial(tell, notice)), lambda: on_progress(0, 1))

    def generate(
        self,
        cases: Sequence[Case],
        *,
        max_new_tokens: int,
        settings: Mapping[str, float] = {},
        confidence: bool = False,
        usage: bool = False,
        on_token: Callable[[int, str], None] | None = None,
        on_parts: Callable[[int, str, str], None] | None = None,
        on_progress: Progress = ignore_progress,
        on_notice: Callable[[str], None] | None = None,
    ) -> list[ServerReply]:
        """An answer for each case.

        settings: of SETTINGS, as the server shall pick its tokens. confidence: also ask for the log-probabilities of
        the answers' tokens; a server that refuses is asked without, and `untold` of its replies says why. Such answers
        come in one piece, because engines leave tokens out of what they stream. usage: also ask how many tokens there
        are. on_token: called with the case's index and its text so far, the thinking included; after a lost connection
        an answer begins anew. on_parts: the same with the thinking and the answer apart. on_progress: called with the
        tokens so far and the most there can be, and while nothing comes; raising from it closes the connections.
        on_notice: lines about retries; without it they are logged.
        """
        require_number(max_new_tokens, "max_new_tokens", 1, whole=True)
        unknown = sorted(set(settings) - set(SETTINGS))
        if unknown:
            raise InvalidInput(f"A server takes no setting {', '.join(unknown)}; it takes {', '.join(SETTINGS)}.")
        if any(case.opening for case in cases):
            raise InvalidInput("A server's model cannot be given the beginning of its answer; a local model can.")
        if not cases:
            return []
        server, notice = self._server(), on_notice or logger.warning
        request: dict[str, Any] = {"max_tokens": max_new_tokens, **settings}
        further: dict[str, Any] = {"top_k": top_k} if (top_k := request.pop("top_k", 0)) else {}
        if confidence:
            request["logprobs"] = True
            further["stream"] = False
        elif usage:
            request["stream_options"] = {"include_usage": True}
        if further:
            request["extra_body"] = further
        done = [0] * len(cases)
        total = len(cases) * max_new_tokens

        def on_text(row: int, text: str, pieces: int, parted: tuple[str, str]) -> None:
            done[row] = min(max(done[row], pieces), max_new_tokens)
            if on_token:
                on_token(row, text)
            if on_parts:
                on_parts(row, *parted)
            on_progress(sum(done), total)

        replies = run(
            lambda tell: client.answer_all(
                server, self.model, cases, request, partial(tell, notice), partial(tell, on_text)
            ),
            lambda: on_progress(sum(done), total),
        )
        on_progress(total, total)
        return replies

    def _server(self) -> Server:
        require_library()
        return Server(self.profile, self.profile.read_key(), self.limits)


def connect(
    profile: str | Profile,
    model: str = "",
    *,
    folder: str | Path | None = None,
    limits: Limits | None = None,
    at_once: int | None = None,
) -> ServerModel:
    """The model on the server of that profile. Nothing is sent yet.

    folder: where the profiles lie, when not in the platform's configuration folder. limits: the profile's unless given.
    at_once: requests under way together, where they are not the limits'.
    """
    found = profile if isinstance(profile, Profile) else find_profile(profile, folder)
    connected = ServerModel(found, model, limits=limits)
    if at_once is not None:
        connected.limits = replace(connected.limits, at_once=at_once)
    return connected
