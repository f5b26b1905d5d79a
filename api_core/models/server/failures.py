"""What went wrong with a request, said so that somebody can act on it, and whether trying again can help."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from ...errors import quoted, shortened
from .bounded_stream import MOST_BYTES, Compressed, TooMuch
from .openai_client import Server
from .secret import Secret, redact

_QUOTED = 240  # letters of a server's own words in a message
_SO_FAR = 600  # letters of an answer that somebody has waited for
_NOT_TAKEN = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_SETTING = re.compile(r"\b(max_tokens|temperature|top_p|top_k|seed|stream_options)\b")
_LOG_PROBABILITIES = re.compile(r"log[ _-]?prob", re.IGNORECASE)
_IS_NOT_TAKEN = re.compile(r"unexpected|unknown|unrecogni[sz]ed|unsupported|not (supported|permitted|allowed)", re.I)
_UNKNOWN_MODEL = re.compile(r"\bmodel\b.*(not found|not exist|unknown|no such|not available)", re.IGNORECASE)
_NO_PICTURES = re.compile(
    r"(images?(_url)?|pictures?|vision|multi-?modal)\b.*(not support|unsupported|not allowed|only supported)"
    r"|not a multi-?modal|text[- ]only|mmproj|required for image input",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>]*>")
_WEB_PAGE = re.compile(r"\s*<(!doctype|html|head|\?xml)", re.IGNORECASE)

_UNREACHABLE = {
    "ConnectionRefusedError": (
        "Nothing answers at {address} (connection refused). Is the server of {name!r} started, and is that its port?"
    ),
    "gaierror": "The name in {address} is not known to this network. Check the address of {name!r}.",
    "SSLError": ("No secure connection to {where}: {tls}. A local server often wants http:// and not https://."),
    "ConnectTimeout": (
        "No connection to {where} within {connect:g} s. Is the machine on, and does no firewall stand between?"
    ),
    "ProxyError": "The proxy does not reach {where}. Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
}
"""What a class of exceptions among the causes means. By name: the client library's own are not imported for it."""


class Failure(Exception):
    """A failed attempt; it never leaves this package. kind: as ServerFailed's; transient: trying again may help.

    wait: seconds the server asks for. parameter: the setting of the request that the server does not take. so_far: what
    had come of the answer, without the key.
    """

    def __init__(
        self, message: str, kind: str, *, transient: bool = False, wait: float | None = None, parameter: str = ""
    ) -> None:
        super().__init__(message)
        self.kind, self.transient, self.wait, self.parameter = kind, transient, wait, parameter
        self.so_far = ""

    def final(self, more: str = "") -> Failure:
        """The same, and more to say of it, where it is not tried again."""
        failure = Failure(f"{self} {more}" if more else str(self), self.kind)
        failure.so_far = self.so_far
        return failure

    @property
    def whole(self) -> str:
        """What to tell whoever waited: the reason, and what had come."""
        return f"{self} It had said: {quoted(self.so_far, _SO_FAR)}" if self.so_far else str(self)


def explain(error: Exception, server: Server, model: str = "") -> Failure:
    """What an exception of the client library means. Nothing in it holds the key, whatever the server wrote."""
    if isinstance(error, Failure):
        return error
    if isinstance(getattr(error, "status_code", None), int):
        return _of_status(error, server, model)
    causes = _chain(error)
    if any(isinstance(cause, Compressed) for cause in causes):
        return Failure(
            f"{server.where} compressed its answer although it was asked not to. Such an answer is not read, as it may "
            "become of any size: turn compression off there, or in the proxy before it.",
            "garbled",
        )
    if is_too_much(error):
        return Failure(f"{server.where} sent more than {MOST_BYTES / 1e6:.0f} MB that are no answer.", "garbled")
    classes = [kind for cause in causes for kind in type(cause).__mro__]
    names = {kind.__name__ for kind in classes}
    for name, words in _UNREACHABLE.items():
        if name in names:
            tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
            fields = {
                "where": server.where,
                "address": server.profile.address,
                "name": server.profile.name,
                "connect": server.limits.connect,
                "tls": getattr(tls, "verify_message", "") or getattr(tls, "reason", "") or "TLS",
            }
            return Failure(words.format_map(fields), "unreachable")
    no_json = [cause.doc for cause in causes if isinstance(cause, json.JSONDecodeError)]
    if no_json or "APIResponseValidationError" in names or isinstance(error, ValueError | RecursionError):
        return garbled(next(iter(no_json), ""), server)
    libraries = {kind.__module__.split(".")[0] for kind in classes}
    if names & {"OSError", "APIConnectionError"} or libraries & {"httpx", "httpx2", "httpcore", "httpcore2", "h11"}:
        return Failure(
            f"The connection to {server.where} was lost before the answer was whole.", "lost", transient=True
        )
    said = _excerpt(_words_of(getattr(error, "body", None)) or str(error), server.secret)
    return Failure(f"Asking {server.where} failed: {type(error).__name__}: {said}", "unexpected")


def is_too_much(error: Exception) -> bool:
    """Whether more came than is read of any response."""
    return any(isinstance(cause, TooMuch) for cause in _chain(error))


def broken_off(error: Any, server: Server) -> Failure:
    """The server reported an error in the midst of its answer."""
    said = _excerpt(_words_of(error), server.secret)
    return Failure(f"{server.where} broke off its answer. It says: {said or 'nothing'}", "trouble", transient=True)


def garbled(text: str, server: Server) -> Failure:
    """The server sent something that is not the answer of a chat endpoint."""
    if _WEB_PAGE.match(text):
        return Failure(
            f"{server.profile.address} answered with a web page, not with an answer. Is the address right? It usually "
            "ends with /v1, and is not that of a server's user interface.",
            "garbled",
        )
    words = _excerpt(text, server.secret)
    return Failure(
        f"{server.where} sent what is not the JSON of a chat answer{f': {words}' if words else '.'} "
        "Is it an OpenAI-compatible server?",
        "garbled",
    )


def _of_status(error: Any, server: Server, model: str) -> Failure:
    status, body, headers = error.status_code, error.body, error.response.headers
    where, profile = server.where, server.profile
    code = body.get("code") if isinstance(body, Mapping) else None
    words = _excerpt(_words_of(body), server.secret)
    said = f" It says: {words}" if words else ""
    if (
        status not in (401, 429) and status < 500 and _LOG_PROBABILITIES.search(words)
    ):  # OpenAI's reasoning models: with 403
        return Failure(f"{where} does not take the request ({status}).{said}", "refused", parameter="logprobs")
    if status in (401, 403):
        # The server's words are left out: some repeat parts of the key.
        has_key = profile.key_variable or profile.stored_key
        if status == 401:
            problem = "refuses the key" if has_key else "wants a key"
        else:
            problem = f"does not allow this {'with this' if has_key else 'without a'} key"
        return Failure(
            f"{where} {problem} ({status}). The profile has: {profile.key_source}. Correct the variable, or "
            "the profile with `python -m api_core servers add … --replace`.",
            "key",
        )
    if (_UNKNOWN_MODEL.search(words) and status in (400, 404, 422)) or code == "model_not_found":
        return Failure(f"{where} does not know the model {quoted(model)}.{said}", "model")
    if status in (404, 405):
        return Failure(
            f"There is no such endpoint at {profile.address} ({status}). The address usually ends with /v1.{said}",
            "address",
        )
    if 300 <= status < 400:
        target = _excerpt(headers.get("location", "another address"), server.secret)
        return Failure(f"{where} has moved to {target} ({status}). Give the profile that address.", "address")
    if status == 413:
        return Failure(f"{where} takes no request of this size (413). Make the pictures smaller.", "size")
    if code == "insufficient_quota" and status == 429:
        return Failure(f"The account at {where} has no credit left (429).{said}", "busy")
    if status == 429:
        return Failure(f"{where} is asked too often (429).{said}", "busy", transient=True, wait=_asked_wait(headers))
    if _NO_PICTURES.search(words):  # with 400, or with 500 as llama.cpp does
        return Failure(f"{where} takes no pictures with this model ({status}).{said} Choose another model.", "pictures")
    if status >= 500 or status in (408, 425):
        return Failure(f"{where} is in trouble ({status}).{said}", "trouble", transient=True, wait=_asked_wait(headers))
    named = _SETTING.search(words)
    parameter = named.group() if named and _IS_NOT_TAKEN.search(words) else ""
    if code in _NOT_TAKEN and isinstance(body.get("param"), str):
        parameter = body["param"]
    return Failure(f"{where} does not take the request ({status}).{said}", "refused", parameter=parameter)


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header, which is a number or a date."""
    asked = headers.get("retry-after", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(asked))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time())
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """The error, its causes, and the errors of a group among them."""
    chain = [error]
    for current in chain:  # it grows meanwhile
        causes = (current.__cause__, current.__context__, *getattr(current, "exceptions", ()))
        chain += [cause for cause in causes if cause is not None and cause not in chain]
    return chain


def _words_of(body: Any, depth: int = 4) -> str:
    """The message in an error's body, of the several shapes that servers use."""
    if isinstance(body, Mapping) and depth:
        words = (_words_of(body.get(key), depth - 1) for key in ("message", "detail", "error", "msg"))
        return next(filter(str.strip, words), "") or (_written(body) if body else "")
    if isinstance(body, str):
        return _TAG.sub(" ", body) if _WEB_PAGE.match(body) else body
    return _written(body) if body else ""


def _written(body: Any) -> str:
    try:
        return json.dumps(body)
    except RecursionError:
        return ""


def _excerpt(text: str, secret: Secret | None) -> str:
    """The beginning of a server's words, in one line; the key is taken out before anything is cut."""
    return shortened(redact(text, secret), _QUOTED)
