"""A small stand-in for the hub on the loopback: enough of its web interface for one repository."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

COMMIT = "c0ffee" + "0" * 34


class HubStandIn:
    """Serves `files` as repository `repo`; `requests` lists what was asked, with its Range header."""

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo = repo
        self.files = files
        self.requests: list[tuple[str, str, str | None]] = []
        self.break_off_after: int | None = None
        self.wrong_checksum = False
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                stand_in.answer(self, body=False)

            def do_GET(self) -> None:
                stand_in.answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "HubStandIn":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        self.requests.append((request.command, request.path, request.headers.get("Range")))
        path = request.path.split("?")[0]
        if path.startswith(f"/api/models/{self.repo}"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            content = json.dumps({"id": self.repo, "sha": COMMIT, "siblings": siblings}).encode()
            self._send(request, 200, content, {"Content-Type": "application/json"}, body)
            return
        name = path.removeprefix(f"/{self.repo}/resolve/{COMMIT}/")
        if name not in self.files:
            self._send(request, 404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            return
        data = self.files[name]
        digest = hashlib.sha256(b"other" if self.wrong_checksum else data).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(data))}
        asked = request.headers.get("Range")
        if body and asked:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(request, 206, data[start:], headers, body)
            return
        self._send(request, 200, data, headers, body)

    def _send(self, request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict, body: bool) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if not body:
            return
        if self.break_off_after is not None and len(data) > self.break_off_after:
            request.wfile.write(data[: self.break_off_after])
            request.wfile.flush()
            request.close_connection = True
            return
        request.wfile.write(data)
