"""An OpenAI-compatible chat server in a process of its own, over real sockets, that misbehaves on demand.

    python chat_server.py [--model FOLDER] [--key KEY]

Writes its port to stdout as soon as it answers. With a model (a transformers folder) it streams that model's tokens,
otherwise words made from the request; a request for no stream gets its answer in one piece. Log-probabilities that are
asked for come with a model's tokens, and with words where a fault lists them as `logprobs`, entry by entry.
`POST /control/faults` takes a list; each chat request uses up the first of it. `GET /control/log` tells what was asked
and when clients went away. Standard library only, the model apart.
"""

import argparse
import base64
import contextlib
import io
import json
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL_NAME = "scripted-lvlm"
COLOURS = {"red": (220, 20, 20), "green": (15, 158, 30), "blue": (20, 40, 220)}


class State:
    """What the handlers share."""

    def __init__(self, key: str, answerer: Any) -> None:
        self.key = key
        self.answerer = answerer
        self.lock = threading.Lock()
        self.faults: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.gone: list[float] = []  # when clients went away in the middle of an answer
        self.running = 0
        self.most_at_once = 0

    def next_fault(self) -> dict[str, Any]:
        with self.lock:
            return self.faults.pop(0) if self.faults else {"kind": "none"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, format: str, *values: Any) -> None:
        """Nothing: what was asked is in the log of /control."""

    def do_GET(self) -> None:
        if self.path == "/control/log":
            state = self.state
            self.send_json({"requests": state.requests, "gone": state.gone, "most_at_once": state.most_at_once})
        elif self.path.endswith("/v1/models"):
            self.list_models()
        else:
            self.send_json({"detail": "Not Found"}, 404)

    def do_POST(self) -> None:
        if self.path == "/control/faults":
            faults = json.loads(self.body())
            with self.state.lock:
                self.state.faults, self.state.requests, self.state.gone = faults, [], []
                self.state.most_at_once = 0
            self.send_json({})
        elif self.path.endswith("/v1/chat/completions"):  # as a proxy it gets the whole address
            self.chat()
        else:
            self.body()
            self.send_json({"detail": "Not Found"}, 404)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send_json(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_whole(json.dumps(content), status, {"Content-Type": "application/json", **(headers or {})})

    def send_whole(self, text: str, status: int, headers: dict[str, str]) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def allowed(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.state.key and given != f"Bearer {self.state.key}":
            # As unkind as a server can be: it repeats the key that it got.
            self.send_json({"error": {"message": f"Incorrect API key provided: {given}.", "code": "bad"}}, 401)
            return False
        return True

    def list_models(self) -> None:
        fault = self.state.faults[0] if self.state.faults and self.state.faults[0].get("on") == "models" else None
        if fault:
            self.state.next_fault()
            self.send_whole(fault["body"], fault.get("status", 200), fault.get("headers", {}))
        elif self.allowed():
            names = [MODEL_NAME] if self.state.answerer is None else ["tiny-lvlm"]
            self.send_json({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    def chat(self) -> None:
        fault = self.state.next_fault()
        kind = fault["kind"]
        if kind == "too large at once":  # without reading what is sent, as a proxy in front of a server does
            self.send_json({"error": {"message": "request entity too large"}}, 413)
            self.close_connection = True
            return
        raw = self.body()
        request = json.loads(raw)
        pictures = pictures_of(request)
        self.note(request, pictures, len(raw))
        if not self.allowed():
            return
        if kind == "status":
            body = json.dumps(fault["body"]) if not isinstance(fault["body"], str) else fault["body"]
            body = body.replace("$KEY", self.state.key)
            headers = {"Content-Type": "application/json", **fault.get("headers", {})}
            self.send_whole(body, fault["status"], headers)
        elif kind == "drop":
            self.reset()
        elif kind == "wire":
            self.wire(fault)
        elif kind == "silence":
            self.wait_for_the_client_to_go(fault["seconds"])
        elif request["model"] not in (MODEL_NAME, "tiny-lvlm"):
            message = f"The model `{request['model']}` does not exist."
            self.send_json({"error": {"message": message, "code": "model_not_found"}}, 404)
        elif kind == "whole":
            self.whole(iter([fault.get("text", "a whole answer"), None]), fault.get("logprobs"), fault)
        else:
            told: list[Any] | None = None
            if request.get("logprobs"):
                told = [] if self.state.answerer is not None and "text" not in fault else fault.get("logprobs")
            with self.counted():
                answer = self.stream if request.get("stream", False) or fault.get("streams") else self.whole
                answer(self.pieces(request, pictures, fault, told), told, fault)

    def wire(self, fault: dict[str, Any]) -> None:
        """Write what a fault says, byte for byte as latin-1: its head, then its body as often as it says (0: for ever),
        and close the connection."""
        self.close_connection = True
        head = fault.get("head", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        body = fault.get("body", "").encode("latin-1")
        left = fault.get("times", 1) or -1
        try:
            self.wfile.write(head.encode("latin-1"))
            while left and body:
                self.wfile.write(body)
                time.sleep(fault.get("delay", 0))
                left -= 1
        except OSError:
            self.went()

    def whole(self, pieces: Iterator[str | None], told: Any, fault: dict[str, Any]) -> None:
        """The answer in one piece. told: what is listed as its log-probabilities, once the pieces are there."""
        written = list(pieces)
        message = {"role": "assistant", "content": "".join(piece for piece in written if piece)}
        if "field" in fault:
            message = {"role": "assistant", fault["field"]: message["content"], "content": fault.get("then", "")}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
        if None not in written:
            choice["finish_reason"] = "length"
        if told is not None:
            choice["logprobs"] = {"content": told}
        self.send_json({"choices": [choice]})

    def note(self, request: dict[str, Any], pictures: list[Any], size: int) -> None:
        settings = {name: value for name, value in request.items() if name != "messages"}
        texts = [
            part["text"] if isinstance(part, dict) else message["content"]
            for message in request["messages"]
            for part in (message["content"] if isinstance(message["content"], list) else [message["content"]])
            if not isinstance(part, dict) or part["type"] == "text"
        ]
        shown = [{"format": p.format, "size": p.size, "corner": p.convert("RGB").getpixel((0, 0))} for p in pictures]
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers["path"] = self.path
        entry = {"settings": settings, "texts": texts, "pictures": shown, "headers": headers, "bytes": size}
        with self.state.lock:
            self.state.requests.append({**entry, "at": time.time()})

    def pieces(
        self, request: dict[str, Any], pictures: list[Any], fault: dict[str, Any], told: Any
    ) -> Iterator[str | None]:
        """The answer piece by piece; None at its end, which the limit of tokens may come before. told: a list that gets
        the log-probabilities of a model's tokens."""
        if self.state.answerer is not None and "text" not in fault:
            answer: Iterator[str | None] = self.state.answerer(request, pictures, told)
            return answer
        words = fault["text"].replace(" ", " |").split("|") if "text" in fault else self.words(request, pictures)
        limit = request.get("max_tokens") or request.get("max_completion_tokens")
        return iter([*words, None][:limit])

    def words(self, request: dict[str, Any], pictures: list[Any]) -> list[str]:
        question = request["messages"][-1]["content"][-1]["text"]
        if "color" in question and "this picture" in question and pictures:
            pixel = pictures[0].convert("RGB").getpixel((0, 0))
            near = min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], pixel, strict=True)))
            return ["It", " is ", near, "."]
        return [f"answer to {question}", " with", f" {len(pictures)}", " pictures"]

    def stream(self, pieces: Iterator[str | None], told: Any, fault: dict[str, Any]) -> None:
        kind = fault["kind"]
        self.send_response(200)
        self.send_header("Content-Type", fault.get("content_type", "text/event-stream"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.stream_body(kind, fault, pieces, told)
        except OSError:
            self.went()

    def stream_body(self, kind: str, fault: dict[str, Any], pieces: Iterator[str | None], told: Any) -> None:
        if kind == "empty":
            self.end_chunks()
            return
        if kind == "pings":
            while True:
                self.chunk(": still here\n\n")
                time.sleep(0.05)
        if "raw" in fault:
            self.chunk(fault["raw"])
            self.end_chunks()
            return
        self.event({"role": "assistant", "content": ""})
        finish, sent = "length", 0
        for number, piece in enumerate(pieces):
            if piece is None:
                finish = "stop"
                break
            if number == fault.get("after", -1):
                if kind == "cut":
                    self.reset()
                    return
                if kind == "ends early":
                    self.end_chunks()
                    return
                if kind == "stall":
                    self.wait_for_the_client_to_go(fault["seconds"])
                    return
                if kind == "error":
                    error = {"error": {"message": f"out of memory, {self.state.key}", "code": 500}}
                    self.chunk(f"data: {json.dumps(error)}\n\n")
                    self.end_chunks()
                    return
            time.sleep(fault.get("delay", 0))
            part = told[sent : sent + 1] if told else []
            self.event({fault.get("field", "content"): piece}, told=part)
            sent += len(part)
        if fault.get("then"):
            self.event({"content": fault["then"]})
        self.event({}, fault.get("finish", finish), told and told[sent:])
        self.chunk("data: [DONE]\n\n")
        self.end_chunks()

    def event(self, delta: dict[str, str], finish: str | None = None, told: Any = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": told and {"content": told}}
        content = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        self.chunk(f"data: {json.dumps(content)}\n\n")

    def chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end_chunks(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def reset(self) -> None:
        """Break the connection off so that the other side gets a reset and not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def wait_for_the_client_to_go(self, seconds: float) -> None:
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable:
            self.went()
        self.close_connection = True

    def went(self) -> None:
        with self.state.lock:
            self.state.gone.append(time.time())
        self.close_connection = True

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        state = self.state
        with state.lock:
            state.running += 1
            state.most_at_once = max(state.most_at_once, state.running)
        try:
            yield
        finally:
            with state.lock:
                state.running -= 1


def pictures_of(request: dict[str, Any]) -> list[Any]:
    """The request's pictures, decoded as a server would."""
    parts = [
        part for message in request["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    addresses = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    if not addresses:
        return []
    from PIL import Image

    return [Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1]))) for address in addresses]


def model_answerer(folder: str) -> Any:
    """Streams what the model of a transformers folder generates, one request at a time."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor, TextIteratorStreamer

    torch.set_num_threads(1)
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    busy = threading.Lock()

    def answer(request: dict[str, Any], pictures: list[Any], told: Any) -> Iterator[str | None]:
        question = request["messages"][-1]["content"][-1]["text"]
        content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": question}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(images=[p.convert("RGB") for p in pictures] or None, text=[prompt], return_tensors="pt")
        streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=60)
        how = {"max_new_tokens": request.get("max_tokens", 16), "do_sample": request.get("temperature", 1) > 0}
        how |= {"return_dict_in_generate": True, "output_logits": True}
        with busy:
            torch.manual_seed(request.get("seed", 0))
            done: list[Any] = []
            work = threading.Thread(target=lambda: done.append(model.generate(**inputs, **how, streamer=streamer)))
            work.start()
            yield from (piece for piece in streamer if piece)
            work.join()
            (made,) = done
            written = made.sequences[0, -len(made.logits) :].tolist()
            if told is not None:
                for token, logits in zip(written, made.logits, strict=True):
                    likely = float(logits[0].float().log_softmax(-1)[token])
                    told.append({"token": processor.tokenizer.decode([token]), "logprob": likely, "bytes": None})
            if written[-1] == model.generation_config.eos_token_id:
                yield None

    return answer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="")
    parser.add_argument("--key", default="")
    options = parser.parse_args()
    Handler.state = State(options.key, model_answerer(options.model) if options.model else None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
