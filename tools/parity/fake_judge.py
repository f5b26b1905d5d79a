"""A judge on a server of this machine, for official programs and ours alike: its replies are a function's."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class JudgeServer(ThreadingHTTPServer):
    """reply: takes what was asked (texts, temperature) and how often the same was asked before. asked: all that was."""

    daemon_threads = True

    def __init__(self, reply: Callable[[str, int], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.asked: list[dict[str, Any]] = []
        self.times: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: JudgeServer

    def log_message(self, format: str, *values: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.send({"object": "list", "data": [{"id": "a-judge", "object": "model"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = ["".join(_parts(message["content"])) for message in request["messages"]]
        entry = {"model": request["model"], "texts": texts, "temperature": request["temperature"]}
        asked = json.dumps([texts, request["temperature"]])
        with self.server.lock:
            self.server.asked.append(entry | {"max_tokens": request["max_tokens"]})
            times = self.server.times[asked]
            self.server.times[asked] += 1
        message = {"role": "assistant", "content": self.server.reply(asked, times)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        told = {"id": "1", "object": "chat.completion", "created": 0, "model": request["model"], "choices": [choice]}
        self.send(told)

    def send(self, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _parts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content]


@contextmanager
def judge_server(reply: Callable[[str, int], str]) -> Iterator[JudgeServer]:
    with JudgeServer(reply) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
