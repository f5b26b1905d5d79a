"""Start a real ComfyUI server with this pack in it, and talk to it as a client does: HTTP and a websocket."""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACK_FOLDER = "attention-prompting"
PROBE = Path(__file__).with_name("probe_nodes.py")
START_SECONDS = 180.0
RUN_SECONDS = 300.0
FREE_SECONDS = 30.0
NEEDED = ("aiohttp", "alembic", "av", "comfyui_frontend_package", "safetensors", "torch", "torchsde", "yaml")

Prompt = Mapping[str, Mapping[str, Any]]
OUTCOME = pytest.StashKey[str]()
"""Of a run of the tests: whether there was a ComfyUI, in a line."""


def find_comfyui() -> Path | None:
    """The ComfyUI to test with: COMFYUI_PATH, else ~/comfy/ComfyUI."""
    home = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
    return home if (home / "main.py").is_file() else None


def comfyui_version(home: Path) -> str:
    """The version that a ComfyUI folder says it is."""
    found = re.search(r'"([^"]+)"', (home / "comfyui_version.py").read_text(encoding="utf-8").split("__version__")[-1])
    return found.group(1) if found else "of unknown version"


def why_not() -> str | None:
    """Why no server can be started here, or None."""
    if find_comfyui() is None:
        return "no ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI"
    check = f"import importlib.util as u, sys; sys.exit(','.join(n for n in {NEEDED!r} if not u.find_spec(n)) or 0)"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    if result.returncode:
        return f"{sys.executable} lacks packages that ComfyUI needs: {result.stderr.strip()}"
    return None


@dataclass
class Run:
    """What became of one queued prompt."""

    id: str
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    previews: int = 0
    ending: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, Any] = field(default_factory=dict)
    seconds_to_stop: float | None = None

    @property
    def message(self) -> str:
        """The line that the user reads on the node."""
        return str(self.error.get("exception_message", "")).strip()


class Server:
    """A running ComfyUI."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, base: Path, log: Path) -> None:
        self.process = process
        self.log = log
        self.address = f"127.0.0.1:{port}"
        self.base = base

    def get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            error.add_note(self.last_words())
            raise

    def last_words(self) -> str:
        """The end of what the server printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def get_bytes(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=60) as answer:
            return answer.read()

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(
            f"http://{self.address}{path}", data, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def free(self) -> None:
        """Have ComfyUI let go of models and results, as its user's button does, and wait until it heard.

        Its worker misses a wish that comes while it ends a run, and would fulfil it after the next one: asked until
        none is open.
        """
        deadline = time.monotonic() + FREE_SECONDS
        while time.monotonic() < deadline:
            self.post("/free", {"unload_models": True, "free_memory": True})
            heard_by = time.monotonic() + 2.0
            while time.monotonic() < heard_by:
                if not self.get("/probe/wishes"):
                    return
                time.sleep(0.1)
        raise TimeoutError(f"ComfyUI did not free its memory within {FREE_SECONDS:.0f} s.")

    def run(self, prompt: Prompt, *, stop_when: Callable[[Run], bool] | None = None) -> Run:
        """Queue an API prompt and wait for its end; with `stop_when`, press Stop as soon as that says so."""
        return asyncio.run(asyncio.wait_for(self._run(prompt, stop_when), RUN_SECONDS))

    async def _run(self, prompt: Prompt, stop_when: Callable[[Run], bool] | None) -> Run:
        import aiohttp

        client = uuid.uuid4().hex
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://{self.address}/ws?clientId={client}", max_msg_size=0) as messages,
        ):
            body = {"prompt": prompt, "client_id": client}
            async with session.post(f"http://{self.address}/prompt", json=body) as answer:
                reply = await answer.json()
            run = Run(reply.get("prompt_id", ""))
            if answer.status != 200:
                run.ending, run.refused = "refused", reply
                return run
            stopping = asyncio.create_task(self._press_stop(session, run, stop_when)) if stop_when else None
            async for kind, data in _messages(messages, run.id):
                _note(run, kind, data)
                if run.ending:
                    break
            if stopping is not None and stopping.done():
                run.seconds_to_stop = time.perf_counter() - stopping.result()
            elif stopping is not None:
                stopping.cancel()
        run.outputs = self._history(run.id).get("outputs", {})
        return run

    async def _press_stop(self, session: Any, run: Run, when: Callable[[Run], bool]) -> float:
        """Press Stop as soon as `when` says so, whether or not the server says anything; the time at which it was."""
        while not await asyncio.to_thread(when, run):
            await asyncio.sleep(0.02)
        pressed = time.perf_counter()
        async with session.post(f"http://{self.address}/interrupt", json={}):
            return pressed

    def _history(self, prompt_id: str) -> dict[str, Any]:
        for _ in range(200):  # the history is written just after the last message is sent
            found = self.get(f"/history/{prompt_id}").get(prompt_id)
            if found:
                return found
            time.sleep(0.02)
        raise TimeoutError(f"No history of prompt {prompt_id}.")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)


async def _messages(socket_: Any, prompt_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    async for message in socket_:
        if isinstance(message.data, bytes):
            kind = int.from_bytes(message.data[:4], "big")
            if kind == 1:  # a picture of work so far
                yield "preview", {}
            elif kind == 3:  # a text for a node: 4 bytes of length, its id, the text
                length = int.from_bytes(message.data[4:8], "big")
                yield "text", {"text": message.data[8 + length :].decode()}
            continue
        content = json.loads(message.data)
        data = content.get("data") or {}
        if data.get("prompt_id", prompt_id) == prompt_id:
            yield content["type"], data


def _note(run: Run, kind: str, data: dict[str, Any]) -> None:
    if kind == "executing" and data.get("node"):
        run.executed.append(data["node"])
    elif kind == "execution_cached":
        run.cached += data["nodes"]
    elif kind == "progress":
        run.progress.append((data.get("node", ""), data["value"], data["max"]))
    elif kind == "preview":
        run.previews += 1
    elif kind == "text":
        run.texts.append(data["text"])
    elif kind in ("execution_success", "execution_error", "execution_interrupted"):
        # A blocked output also reports an error, then the prompt goes on to success.
        if kind == "execution_error":
            run.error = data
        if data.get("exception_type") != "ExecutionBlocked":
            run.ending = kind


@contextlib.contextmanager
def started(base: Path, *, log: Path, options: tuple[str, ...] = (), environment: Mapping[str, str] | None = None):
    """A server on a free port whose models, pictures and settings lie under `base`."""
    home = find_comfyui()
    if home is None:
        raise FileNotFoundError("There is no ComfyUI to start.")
    for name in ("models", "input", "output", "temp", "user", "custom_nodes"):
        (base / name).mkdir(parents=True, exist_ok=True)
    pack = base / "custom_nodes" / PACK_FOLDER
    if not pack.exists():
        _link(pack, ROOT)
    probe = base / "custom_nodes" / PROBE.name
    probe.write_bytes(PROBE.read_bytes())
    port = _free_port()
    command = [sys.executable, str(home / "main.py"), "--cpu", "--listen", "127.0.0.1", "--port", str(port)]
    command += ["--base-directory", str(base), "--database-url", "sqlite:///:memory:", "--disable-api-nodes"]
    command += ["--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK_FOLDER, PROBE.name, *options]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    variables |= {"PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=base,
            env=variables,
        )
    server = Server(process, port, base, log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        server.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether `condition` came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            server.get("/system_stats")
            return
        time.sleep(0.3)
    raise RuntimeError(f"ComfyUI did not start within {START_SECONDS:.0f} s:\n{server.last_words()}")


def _link(link: Path, target: Path) -> None:
    """A link to a folder, of the kind that needs no rights."""
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(target), str(link))
    else:
        link.symlink_to(target, target_is_directory=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
