"""What is said over one connection, in HTTP."""

from __future__ import annotations

import hmac
import json
import queue
import select
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from ..errors import AttentionPromptingError
from ..models.server.address import is_this_machine
from ..models.server.secret import Secret
from .prompt_then_answer import Serving
from .read_request import read_request
from .refusal import Refused, refusal_of
from .request_queue import Finished, Job, RequestQueue, Written
from .shown_text import GrowingText
from .write_reply import Reply, listed_model

MOST_BYTES = 32 * 1024 * 1024
"""Of a request's body."""
_PATIENCE = 60.0  # seconds that a client may keep silent in the midst of a request, or not take what it is sent
_LOOK = 0.2  # seconds between two looks at whether the client is still there
_DISCARDED = 4 * MOST_BYTES  # of a refused body: a client that is still sending reads no answer
_ROUTES = {"/v1/chat/completions": "POST", "/v1/models": "GET"}


@dataclass(frozen=True)
class Service:
    """What all connections share. key: what clients must send, if any. on_trouble: gets the traceback of what nobody
    expected. started: when, in seconds since 1970."""

    serving: Serving
    requests: RequestQueue
    key: Secret | None
    on_trouble: Callable[[str], None]
    started: int = field(default_factory=lambda: int(time.time()))


class Connection(BaseHTTPRequestHandler):
    """One connection to a server that has a `service`."""

    protocol_version = "HTTP/1.1"
    server_version = "attention-prompting"
    sys_version = ""
    timeout = _PATIENCE

    def log_message(self, format: str, *values: Any) -> None:
        """Nothing: what is asked is nobody's business."""

    def do_GET(self) -> None:
        """The models."""
        self._guarded(self._list_models)

    def do_POST(self) -> None:
        """A chat."""
        self._guarded(self._chat)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses, in OpenAI's form."""
        self.close_connection = True
        self._send(Refused(message or "The request cannot be read.", status=code).body, code)

    def handle_expect_100(self) -> bool:
        """The go-ahead comes with the reading of the body, which may be refused before."""
        return True

    @property
    def _service(self) -> Service:
        return self.server.service  # type: ignore[attr-defined, no-any-return]

    def _guarded(self, answer: Callable[[str], None]) -> None:
        self._is_read = self.headers.get("Content-Length", "0") == "0" and "Transfer-Encoding" not in self.headers
        self._began = False
        self._looked = time.monotonic()
        try:
            try:
                self._require_allowed()
                answer(self._route())
            except AttentionPromptingError as error:
                self._refuse(refusal_of(error))
            except OSError:
                raise
            except Exception:  # noqa: BLE001 - no request may take the server down
                self._service.on_trouble(traceback.format_exc())
                why = "The request failed unexpectedly; the server's own window says where."
                self._refuse(Refused(why, status=500))
            if not self._is_read:
                self._discard()
        except OSError:  # the client went away
            self.close_connection = True

    def _require_allowed(self) -> None:
        key = self._service.key
        if key is None:
            host = self.headers.get("Host", "localhost")
            if not is_this_machine(f"http://{host}"):
                # A web page can have its own name point to this machine, but not change what the browser says here.
                raise Refused("Without a key only requests to localhost or 127.0.0.1 are answered.", status=403)
            return
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), key.reveal().encode()):
            raise Refused("The key is missing or wrong.", status=401, code="invalid_api_key")

    def _route(self) -> str:
        """The path, if it is asked for as it can be."""
        path = unquote(self.path.partition("?")[0]).rstrip("/")
        known = path if path in _ROUTES else "/v1/models" if path.startswith("/v1/models/") else None
        if known is None:
            raise Refused("There is nothing here; ask /v1/chat/completions or /v1/models.", status=404)
        if self.command != _ROUTES[known]:
            raise Refused(f"{known} takes {_ROUTES[known]}, not {self.command}.", status=405)
        return path

    def _list_models(self, path: str) -> None:
        name = self._service.serving.name
        wanted = path.removeprefix("/v1/models").lstrip("/")
        if wanted not in ("", name):
            raise Refused(f"There is no model {wanted[:60]!r}. There is {name!r}.", status=404, code="model_not_found")
        found = listed_model(name, self._service.started)
        self._send(found if wanted else {"object": "list", "data": [found]})

    def _chat(self, path: str) -> None:
        request = read_request(self._body())
        job = self._service.serving.job(request)
        self._service.requests.add(job)
        try:
            reply = Reply(self._service.serving.name)
            if request.stream:
                self._stream(job, reply)
            else:
                while not isinstance(event := self._next(job), Finished):
                    pass
                self._send(reply.whole(event))
        finally:
            job.ended.set()

    def _stream(self, job: Job, reply: Reply) -> None:
        thinking, text = GrowingText(), GrowingText(job.request.stop)
        while True:
            event = self._next(job)
            if not self._began:
                self._begin_stream()
                self._event(reply.begin())
            whole = isinstance(event, Finished)
            new = (thinking.grown(event.thinking, whole), text.grown(event.text, whole))
            if any(new):
                self._event(reply.grow(*new))
            if isinstance(event, Finished):
                self._event(reply.end(event))
                if job.request.with_usage:
                    self._event(reply.count(event))
                self._end_stream()
                return

    def _next(self, job: Job) -> Written | Finished:
        """What comes next of a job. Raises Refused for a failure, ConnectionError where the client went away."""
        while True:
            if time.monotonic() - self._looked > _LOOK:
                if self._has_gone():
                    raise ConnectionAbortedError
                self._looked = time.monotonic()
            try:
                event = job.events.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if isinstance(event, Refused):
                raise event
            return event

    def _has_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _body(self) -> bytes:
        if self.headers.get_content_type() != "application/json":
            raise Refused("The body must be JSON: send it with Content-Type: application/json.", status=415)
        told = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not told:
            raise Refused("The length of the body must be told: send Content-Length.", status=411)
        if not (told.isascii() and told.isdigit()):
            raise Refused("Content-Length is no number.")
        if len(told) > 12 or int(told) > MOST_BYTES:
            raise Refused(
                f"The request is larger than {MOST_BYTES >> 20} MB. Send smaller pictures: models see few of so many "
                "pixels.",
                status=413,
                code="request_too_large",
            )
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(told))
        if len(body) < int(told):
            raise ConnectionAbortedError
        self._is_read = True
        return body

    def _refuse(self, refused: Refused) -> None:
        """Send why; in the midst of a stream, as its last event."""
        if self._began:
            self._event(refused.body)
            self._end_stream()
        else:
            self._send(refused.body, refused.status)

    def _send(self, content: Any, status: int = 200) -> None:
        data = json.dumps(content).encode()
        # What is left of a body that nobody reads would be taken for the next request.
        self.close_connection = self.close_connection or not self._is_read
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == 405:
            self.send_header("Allow", ", ".join(sorted(set(_ROUTES.values()))))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def _discard(self) -> None:
        """Read what a client still sends of a body that is not wanted, so that it comes to read the answer; within
        bounds."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(2.0)
        left, until = _DISCARDED, time.monotonic() + _PATIENCE
        while left > 0 and time.monotonic() < until:
            taken = len(self.rfile.read1(1 << 20))  # type: ignore[attr-defined]
            if not taken:
                return
            left -= taken

    def _begin_stream(self) -> None:
        self._began = True
        self._in_chunks = self.request_version == "HTTP/1.1"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        if self._in_chunks:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
        self.end_headers()

    def _event(self, content: dict[str, Any]) -> None:
        self._piece(f"data: {json.dumps(content)}\n\n".encode())

    def _end_stream(self) -> None:
        self._piece(b"data: [DONE]\n\n")
        if self._in_chunks:
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

    def _piece(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self._in_chunks else data)
        self.wfile.flush()
