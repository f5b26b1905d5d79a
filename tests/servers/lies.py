"""Kinds of wrong answers of a server, as `chat_server.py` gives them, and what a person is told of each."""

import gzip
import json
from dataclasses import dataclass
from typing import Any

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}\r\n"


@dataclass(frozen=True)
class Lie:
    """One kind. fault: what the server is told. says: a part of the error, or of the note where there is an answer.

    answer: what is answered all the same, "" where nothing is; the beginning of it where it is long.
    """

    name: str
    fault: dict[str, Any]
    says: str
    answer: str = ""


def event(content: Any) -> str:
    """An event of a stream, as JSON or as it is."""
    return f"data: {content if isinstance(content, str) else json.dumps(content)}\n\n"


def piece(text: Any, finish: Any = None) -> dict[str, Any]:
    """A piece of an answer."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def streamed(name: str, says: str, *contents: Any, answer: str = "", **more: Any) -> Lie:
    return Lie(name, {"kind": "wire", "body": "".join(map(event, contents)), **more}, says, answer)


def whole(name: str, says: str, body: str, more: str = "", answer: str = "", times: int = 1) -> Lie:
    head = HEAD.format(kind="application/json", more=more)
    return Lie(name, {"kind": "wire", "head": head, "body": body, "times": times}, says, answer)


def status(name: str, says: str, number: int, body: Any = "", **headers: str) -> Lie:
    return Lie(name, {"kind": "status", "status": number, "body": body, "headers": headers}, says)


BOMB = gzip.compress(b"\0" * 300_000_000).decode("latin-1")
DEEP = "[" * 100_000
PAGE = "<!DOCTYPE html><html><body>Welcome</body></html>"
NOT_CHAT = "not the JSON of a chat answer"

LIES = [
    streamed("choices are a number", NOT_CHAT, {"choices": 5}),
    streamed("choices are a text", NOT_CHAT, {"choices": "x"}),
    streamed("a choice is a number", NOT_CHAT, {"choices": [5]}),
    streamed("a delta is a list", NOT_CHAT, {"choices": [{"delta": [1]}]}),
    streamed("the event is a number", NOT_CHAT, "5"),
    streamed("the event is a list", NOT_CHAT, "[1, 2]"),
    streamed("brackets without end", NOT_CHAT, DEEP),
    streamed("half a JSON", NOT_CHAT, '{"choices": [{"delta"'),
    streamed("bytes that are no text", NOT_CHAT, "\xff\xfe\x00"),
    streamed("content is a number", "without a word", piece(5)),
    streamed("nothing but comments", "said nothing|more than 32 MB", body=": still here\n" * 9000, times=0),
    streamed("no choice ever", "without a word", *[{"choices": []}] * 200, times=0),
    streamed("an error in the stream", "It says: out of memory", {"error": {"message": "out of memory"}}),
    streamed("an error that is a deep nest", "broke off", '{"error": ' + '{"error": ' * 300 + "1" + "}" * 301),
    streamed("an endless answer", "did not keep to the limit of 20 tokens", piece("word "), answer="word ", times=0),
    streamed("a piece of 10 MB", "did not keep to the limit", piece("x" * 10_000_000, "stop"), answer="xxx"),
    streamed("10 MB in small pieces", "did not keep", piece("five "), answer="five ", times=150_000),
    streamed("a line without end", "more than 32 MB", body="data: " + "x" * 100_000, times=0),
    streamed("half an emoji", "", piece("a \ud83d", "stop"), answer="a \N{REPLACEMENT CHARACTER}"),
    streamed("an emoji in two halves", "", piece("a \ud83d"), piece("\ude00", "stop"), answer="a \N{GRINNING FACE}"),
    streamed("thinking that never stops opening", "", piece("<think></think>" * 60_000 + "red", "stop"), answer="red"),
    whole("a number in place of an answer", NOT_CHAT, "5"),
    whole("choices that are a number", NOT_CHAT, '{"choices": 5}'),
    whole("nothing", NOT_CHAT, ""),
    whole("an answer and an error", "It says: model is loading", '{"error": "model is loading"}'),
    whole("a list of brackets", NOT_CHAT, DEEP),
    whole("a bomb", "compressed its answer", BOMB, more="Content-Encoding: gzip\r\n"),
    whole("a body without end", "more than 32 MB", " " * 100_000, times=0),
    whole("fewer bytes than promised", "lost", '{"choices"', more="Content-Length: 500\r\n"),
    Lie(
        "a halt in the middle", {"kind": "stall", "after": 3, "seconds": 30, "text": "a red star it is"}, "said: 'a red"
    ),
    Lie("no HTTP", {"kind": "wire", "head": "hello\r\n\r\n"}, "lost"),
    Lie("a head without end", {"kind": "wire", "head": "HTTP/1.1 200 OK\r\n" + "X-Y: z\r\n" * 200_000}, "lost"),
    Lie("a web page", {"kind": "wire", "head": HEAD.format(kind="text/html", more=""), "body": PAGE}, "web page"),
    status("an error page of open tags", "in trouble", 500, "<html" + "<" * 200_000),
    status("an error of a deep nest", "in trouble", 500, '{"error": ' * 900 + "1" + "}" * 900),
    status("an error of brackets", "in trouble", 500, DEEP),
    status("a huge error", "does not take the request", 400, {"error": {"message": "no " * 1_000_000}}),
    status("a wait that is no number", "asked too often", 429, {}, **{"Retry-After": "nan"}),
    status("a wait without end", "left alone", 429, {}, **{"Retry-After": "inf"}),
    status("a status that nobody knows", "in trouble", 599, "x"),
    status("a move to nowhere", "has moved to", 302, "", Location="x" * 5000),
]
