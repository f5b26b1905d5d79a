"""The client library, made to talk to one server: what it may read of the environment, and where the key enters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import MissingPackage
from ...settings import require_number
from .bounded_stream import bounding
from .profiles import Profile
from .secret import Secret

REQUIREMENT = "openai>=1.55.3"
_SHORTEST = 0.001  # second
_NO_KEY = "none"


@dataclass(frozen=True)
class Limits:
    """How patient a client is. Times in seconds.

    connect: to be connected. first_token: from the request to the first word; a server may have to load its model.
    between_tokens: between two words. retries: further attempts after a busy or troubled server, or a lost connection;
    the first comes after `first_wait`, each next after twice the wait before, or after what the server asks for.
    longest_wait: a server that asks for more is not waited for. at_once: requests of a batch under way together.
    each_token: that an answer may take on the whole, beside the first two, for each token that it may have.
    """

    connect: float = 10.0
    first_token: float = 300.0
    between_tokens: float = 60.0
    retries: int = 4
    first_wait: float = 1.0
    longest_wait: float = 60.0
    at_once: int = 4
    each_token: float = 10.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            counted = name in ("retries", "at_once")
            require_number(value, name, int(name == "at_once") if counted else _SHORTEST, whole=counted)

    def total(self, tokens: int) -> float:
        """The seconds that a streamed answer of so many tokens may take."""
        return self.first_token + self.between_tokens + self.each_token * tokens


def require_library() -> Any:
    """The `openai` package; MissingPackage with the line that installs it."""
    try:
        import openai
    except ImportError as error:
        raise MissingPackage(
            f"Asking a server needs the package 'openai'. Install it: python -m pip install '{REQUIREMENT}'"
        ) from error
    return openai


@dataclass(frozen=True)
class Server:
    """Where to ask, as whom and how patiently."""

    profile: Profile
    secret: Secret | None
    limits: Limits

    @property
    def where(self) -> str:
        return f"{self.profile.name} at {self.profile.address}"

    def open(self) -> Any:
        """An `openai.AsyncOpenAI` for this server; it must be closed.

        Retrying, timing and stopping are ours, so the library does none of it. A server on this machine is reached past
        any proxy, and no redirection is followed: the key goes to the address in the profile and nowhere else. Of what
        the server sends only so much is read, and nothing that it compressed. The
        library itself never gets the key; it is put into the header of each request as it leaves.
        """
        openai = require_library()
        secret = self.secret

        async def sign(request: Any) -> None:
            for header in ("authorization", "openai-organization", "openai-project"):
                request.headers.pop(header, None)
            if secret:
                request.headers["authorization"] = f"Bearer {secret.reveal()}"

        timeout = openai.Timeout(None, connect=self.limits.connect)
        transport = openai.DefaultAsyncHttpxClient(
            trust_env=not self.profile.is_local,
            follow_redirects=False,
            timeout=timeout,
            event_hooks={"request": [sign], "response": [bounding(openai)]},
            headers={"Accept-Encoding": "identity"},
        )
        return openai.AsyncOpenAI(
            api_key=_NO_KEY, base_url=self.profile.address, max_retries=0, timeout=timeout, http_client=transport
        )
