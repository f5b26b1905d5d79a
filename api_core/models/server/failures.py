"""What went wrong with a request, said so that somebody can act on it, and whether trying again can help."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from .profiles import Profile
from .secret import Secret, redact

_QUOTED = 240  # letters of a server's own words in a message
_NOT_TAKEN = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_SETTING = re.compile(r"\b(max_tokens|temperature|top_p|top_k|seed)\b")
_IS_NOT_TAKEN = re.compile(r"unexpected|unknown|unrecogni[sz]ed|unsupported|not (supported|permitted|allowed)", re.I)
_UNKNOWN_MODEL = re.compile(r"\bmodel\b.*(not found|not exist|unknown|no such|not available)", re.IGNORECASE)
_NO_PICTURES = re.compile(
    r"(images?(_url)?|pictures?|vision|multi-?modal)\b.*(not support|unsupported|not allowed|only supported)"
    r"|not a multi-?modal|text[- ]only|mmproj|required for image input",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Failure:
    """A failed attempt. kind: as ServerFailed's; transient: trying again may help; wait: seconds the server asks for.

    parameter: the setting of the request that the server does not take.
    """

    message: str
    kind: str
    transient: bool = False
    wait: float | None = None
    parameter: str = ""


class RequestFailed(Exception):
    """Carries a Failure through the client's loop; it never leaves this package."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def explain(error: BaseException, profile: Profile, model: str, secret: Secret | None, connect: float) -> Failure:
    """What an exception of the client library means. Nothing in it holds the key, whatever the server wrote."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return _of_status(status, error, profile, model, secret)
    where = f"{profile.name} at {profile.address}"
    causes = list(_chain(error))
    names = {type(cause).__name__ for cause in causes}
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Failure(
            f"Nothing answers at {profile.address} (connection refused). Is the server of {profile.name!r} started, "
            "and is that its port?",
            "unreachable",
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Failure(
            f"The name in {profile.address} is not known to this network. Check the address of {profile.name!r}.",
            "unreachable",
        )
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "TLS"
            return Failure(
                f"No secure connection to {where}: {reason}. A local server often wants http:// and not https://.",
                "unreachable",
            )
    if "ConnectTimeout" in names:
        return Failure(
            f"No connection to {where} within {connect:g} s. Is the machine on, and does no firewall stand between?",
            "unreachable",
        )
    if "ProxyError" in names:
        return Failure(f"The proxy does not reach {where}. Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.", "unreachable")
    for cause in causes:
        if isinstance(cause, json.JSONDecodeError):
            return garbled(cause.doc, profile, secret)
    if "APIResponseValidationError" in names or isinstance(error, ValueError):
        return garbled("", profile, secret)
    if _is_transport(causes):
        return Failure(f"The connection to {where} was lost before the answer was whole.", "lost", transient=True)
    if "APIError" in names:  # the server reported an error inside the stream
        return _in_stream(error, where, secret)
    words = _excerpt(str(error), secret)
    return Failure(f"Asking {where} failed: {type(error).__name__}: {words}", "unexpected")


def garbled(text: str, profile: Profile, secret: Secret | None) -> Failure:
    """The server sent something that is not the answer of a chat endpoint."""
    if re.match(r"\s*<(!doctype|html|head|\?xml)", text, re.IGNORECASE):
        return Failure(
            f"{profile.address} answered with a web page, not with an answer. Is the address right? It usually ends "
            "with /v1, and is not that of a server's user interface.",
            "garbled",
        )
    words = _excerpt(text, secret)
    return Failure(
        f"{profile.name} at {profile.address} sent what is not the JSON of a chat answer"
        + (f": {words}" if words else ".")
        + " Is it an OpenAI-compatible server?",
        "garbled",
    )


def _of_status(status: int, error: BaseException, profile: Profile, model: str, secret: Secret | None) -> Failure:
    where = f"{profile.name} at {profile.address}"
    body = getattr(error, "body", None)
    body = body if isinstance(body, Mapping) else {}
    response = getattr(error, "response", None)
    headers: Mapping[str, str] = getattr(response, "headers", {})
    words = _excerpt(_words_of(body) or _text_of(response), secret)
    said = f" It says: {words}" if words else ""
    if status in (401, 403):
        # The server's words are left out: some repeat parts of the key.
        has_key = profile.key_variable or profile.stored_key
        if status == 401:
            problem = "refuses the key" if has_key else "wants a key"
        else:
            problem = "does not allow this with this key" if has_key else "does not allow this without a key"
        return Failure(
            f"{where} {problem} ({status}). The profile has: {profile.key_source}. Correct the variable, or "
            "the profile with `python -m api_core servers add … --replace`.",
            "key",
        )
    if (_UNKNOWN_MODEL.search(words) and status in (400, 404, 422)) or body.get("code") == "model_not_found":
        return Failure(f"{where} does not know the model {model!r}.{said}", "model")
    if status in (404, 405):
        return Failure(
            f"There is no such endpoint at {profile.address} ({status}). The address usually ends with /v1.{said}",
            "address",
        )
    if 300 <= status < 400:
        target = _excerpt(headers.get("location", "another address"), secret)
        return Failure(f"{where} has moved to {target} ({status}). Give the profile that address.", "address")
    if status == 413:
        return Failure(f"{where} takes no request of this size (413). Make the pictures smaller.", "size")
    if status == 429:
        if body.get("code") == "insufficient_quota":
            return Failure(f"The account at {where} has no credit left (429).{said}", "busy")
        return Failure(f"{where} is asked too often (429).{said}", "busy", transient=True, wait=_asked_wait(headers))
    if _NO_PICTURES.search(words):  # with 400, or with 500 as llama.cpp does
        return Failure(f"{where} takes no pictures with this model ({status}).{said} Choose another model.", "pictures")
    if status >= 500 or status in (408, 425):
        return Failure(f"{where} is in trouble ({status}).{said}", "trouble", transient=True, wait=_asked_wait(headers))
    message = f"{where} does not take the request ({status}).{said}"
    return Failure(message, "refused", parameter=_refused_setting(body, words))


def _refused_setting(body: Mapping[Any, Any], words: str) -> str:
    """The setting of the request that the server names as one that it does not take, or nothing."""
    if body.get("code") in _NOT_TAKEN and isinstance(body.get("param"), str):
        return str(body["param"])
    named = _SETTING.search(words)
    return named.group(0) if named and _IS_NOT_TAKEN.search(words) else ""


def _in_stream(error: BaseException, where: str, secret: Secret | None) -> Failure:
    body = getattr(error, "body", None)
    words = _excerpt(_words_of(body) if isinstance(body, Mapping) else str(error), secret)
    return Failure(f"{where} broke off its answer. It says: {words or 'nothing'}", "trouble", transient=True)


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header, which is a number or a date."""
    asked = headers.get("retry-after", "").strip()
    if not asked:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time())
    except ValueError:
        return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes, and the errors of a group among them."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]


def _is_transport(causes: list[BaseException]) -> bool:
    for cause in causes:
        if isinstance(cause, OSError) or type(cause).__name__ in ("APIConnectionError", "APITimeoutError"):
            return True
        if type(cause).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "h11"):
            return True
    return False


def _words_of(body: Mapping[Any, Any]) -> str:
    """The message in an error's JSON, of the several shapes that servers use."""
    for key in ("message", "detail", "error", "msg"):
        value = body.get(key)
        if isinstance(value, Mapping):
            return _words_of(value)
        if isinstance(value, str) and value.strip():
            return value
        if value:
            return json.dumps(value)
    return ""


def _text_of(response: Any) -> str:
    try:
        text = response.text
    except Exception:  # noqa: BLE001 - not read, or not text: then there are no words to repeat
        return ""
    return re.sub(r"<[^>]*>", " ", text) if isinstance(text, str) else ""


def _excerpt(text: str, secret: Secret | None) -> str:
    words = " ".join(redact(text, secret).split())
    return words if len(words) <= _QUOTED else words[: _QUOTED - 1] + "…"
