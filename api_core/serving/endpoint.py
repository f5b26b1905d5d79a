"""The endpoint: HTTP with OpenAI's addresses and forms, for this machine unless there is a key."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any

from ..errors import InvalidInput
from ..models.server.secret import Secret
from .connection import Connection, Service
from .prompt_then_answer import PromptThenAnswer, Serving
from .request_queue import RequestQueue

_MOST_CONNECTIONS = 512


class Endpoint(ThreadingHTTPServer):
    """A running server; a context manager. address: what a client takes as its base address.

    host, port: where it listens; port 0 takes a free one. key: what clients must send; without one only this machine's
    own addresses are listened at, and only what is asked for under them is answered. Raises InvalidInput where it
    cannot listen. on_trouble: gets the traceback of what nobody expected.
    """

    allow_reuse_address = os.name == "posix"  # on Windows this would let two servers listen at one port
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        serving: Serving,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        key: Secret | None = None,
        on_trouble: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        try:
            family, *_, place = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]
        except (OSError, UnicodeError) as error:
            raise InvalidInput(f"There is no address {host!r} to listen at: {error}.") from error
        if key is None and not ipaddress.ip_address(str(place[0]).split("%")[0]).is_loopback:
            raise InvalidInput(
                f"Without a key only this machine may ask, and {host!r} is open to others. Listen at 127.0.0.1, or "
                "name the environment variable that holds a key."
            )
        self.address_family = family
        try:
            super().__init__(place[:2], Connection)  # type: ignore[arg-type]
        except (OSError, OverflowError) as error:
            raise InvalidInput(f"Cannot listen at {host} port {port}: {error}. Choose another --port.") from error
        work = PromptThenAnswer(serving)
        requests = RequestQueue(work, threads=serving.threads, at_once=serving.batch, on_trouble=on_trouble)
        self.service = Service(serving, requests, key, on_trouble)

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{f'[{host!s}]' if ':' in str(host) else str(host)}:{port}/v1"

    def server_close(self) -> None:
        """Stop listening, and what is under way."""
        super().server_close()
        if hasattr(self, "service"):  # not where it could not listen
            self.service.requests.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own; not where there are too many connections."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # there is no thread for it
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is none of ours; anything else is told."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.service.on_trouble(traceback.format_exc())
