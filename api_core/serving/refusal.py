"""Why a request is not answered, in the form of OpenAI's interface."""

from __future__ import annotations

from typing import Any

from ..errors import AttentionPromptingError, NotEnoughMemory, ServerFailed

BUSY = 429
UNSUPPORTED = "unsupported_parameter"
"""The code for what cannot be honoured, after which clients may ask without it."""
_OF_SERVER = {"busy": BUSY, "slow": 504, "size": 413, "pictures": 400, "refused": 400}
"""The status for each kind of ServerFailed; any other is a gateway's, 502."""


class Refused(AttentionPromptingError):
    """A request that cannot be answered. status: of HTTP. param: the part of the request that is wrong. code: its kind,
    for programs."""

    def __init__(self, message: str, param: str | None = None, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    @property
    def body(self) -> dict[str, Any]:
        """What the client gets."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        message = " ".join(str(self).split())
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}


def refusal_of(error: AttentionPromptingError) -> Refused:
    """An error of the library as the client is told of it."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, ServerFailed):
        return Refused(str(error), status=_OF_SERVER.get(error.kind, 502), code=f"server_{error.kind}")
    if isinstance(error, NotEnoughMemory):
        return Refused(str(error), status=503, code="not_enough_memory")
    return Refused(str(error))
