"""A real server process misbehaves on real sockets: a clear error or a recovery each."""

import re
import time
from typing import Any

import pytest
from pack.api_core.models.server import Profile, Secret, ServerModel
from pack.tests.core.models.server_faults.asking import HASTY, KEY, STATUS, answers, model_of, refused
from pack.tests.servers.process import ServerProcess

pytestmark = pytest.mark.slow  # each waits for a server of its own, or for its silence

BROKEN_JSON = 'data: {"choices": [{"delta": {"content": "$\n\n'
PAGE = "<!DOCTYPE html><html><body>Welcome to the admin page</body></html>"
LLAMA_CPP_TEXT_ONLY = {
    "error": {
        "code": 500,
        "message": "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        "type": "server_error",
    }
}
LLAMA_CPP_TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (25035 tokens) exceeds the available context size (2048 tokens), try increasing it",
        "type": "exceed_context_size_error",
    }
}


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ({**STATUS, "status": 401}, "key", "refuses the key"),
        ({**STATUS, "status": 403}, "key", "not allow"),
        ({**STATUS, "status": 400}, "refused", r"no, \[key\], no"),
        ({**STATUS, "status": 400, "body": {"detail": "x is not a multimodal model"}}, "pictures", "takes no pictures"),
        ({**STATUS, "status": 500, "body": LLAMA_CPP_TEXT_ONLY}, "pictures", "another model"),
        ({**STATUS, "status": 400, "body": LLAMA_CPP_TOO_LONG}, "refused", "2048 tokens"),
        ({**STATUS, "status": 404, "body": {"detail": "Not Found"}}, "address", "/v1"),
        ({**STATUS, "status": 413}, "size", "smaller"),
        ({**STATUS, "status": 301, "headers": {"Location": "http://elsewhere/v1"}}, "address", "http://elsewhere/v1"),
        ({**STATUS, "status": 200, "headers": {"Content-Type": "text/html"}, "body": PAGE}, "garbled", "web page"),
        ({**STATUS, "status": 200, "body": "certainly no JSON"}, "garbled", "certainly no JSON"),
        ({"kind": "raw", "raw": BROKEN_JSON.replace("$", KEY)}, "garbled", r"\[key\]"),
        ({"kind": "raw", "raw": PAGE}, "empty", "without a word"),
        ({"kind": "silence", "seconds": 5}, "slow", "1 s"),
        ({"kind": "pings"}, "slow", "1 s"),
        ({"kind": "stall", "after": 2, "seconds": 5}, "slow", r"0\.6 s"),
        ({"kind": "too large at once"}, "size", "413"),
    ],
)
def test_what_cannot_be_helped_is_a_clear_error(
    server: ServerProcess, fault: dict[str, Any], kind: str, says: str
) -> None:
    server.misbehave(*[fault] * 4)
    error = refused(model_of(server))
    assert error.kind == kind
    assert re.search(says, str(error))


@pytest.mark.parametrize(
    "fault",
    [{"kind": "stall", "seconds": 5}, {"kind": "cut"}, {"kind": "ends early"}, {"kind": "error"}],
    ids=lambda fault: fault["kind"],
)
def test_what_came_of_an_answer_is_told_with_the_reason(server: ServerProcess, fault: dict[str, Any]) -> None:
    server.misbehave(*[{**fault, "after": 3, "text": f"a {KEY} star there"}] * 4)
    error = str(refused(model_of(server)))
    assert "\n" not in error
    assert "It had said: 'a [key] star" in error
    assert KEY not in error
    if fault["kind"] != "stall":
        assert "That was attempt 3. It had said" in error
    server.misbehave({**fault, "after": 4000, "text": "word " * 5000}, *[{"kind": "drop"}] * 3)
    assert len(str(refused(model_of(server), max_new_tokens=5000))) < 1000


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({**STATUS, "status": 500}, "trouble"),
        ({**STATUS, "status": 503, "body": "<html>loading</html>"}, "trouble"),
        ({**STATUS, "status": 429, "headers": {"Retry-After": "0.1"}}, "busy"),
        ({"kind": "drop"}, "lost"),
        ({"kind": "cut", "after": 2}, "lost"),
        ({"kind": "ends early", "after": 2}, "lost"),
        ({"kind": "error", "after": 2}, "trouble"),
        ({"kind": "empty"}, "empty"),
    ],
)
def test_what_passes_is_tried_again_and_told_of(server: ServerProcess, fault: dict[str, Any], kind: str) -> None:
    server.misbehave(fault, fault)
    lines: list[str] = []
    (answer,) = answers(model_of(server), on_notice=lines.append)
    assert answer.text == "answer to what is it? with 1 pictures"
    assert len(lines) == 2
    assert "(2 of 3)" in lines[0]
    assert KEY not in " ".join(lines)
    server.misbehave(*[fault] * 3)
    error = refused(model_of(server))
    assert error.kind == kind
    assert "attempt 3" in str(error)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "none", "text": "red", "logprobs": [{"token": KEY, "logprob": KEY}]},
        {"kind": "none", "text": "red", "logprobs": [{"token": KEY, "logprob": -0.5}]},
        {"kind": "whole", "text": KEY, "logprobs": KEY},
        {**STATUS, "status": 403, "body": {"error": {"message": "logprobs are not allowed with $KEY"}}},
    ],
)
def test_why_a_confidence_is_not_known_never_holds_the_key(server: ServerProcess, fault: dict[str, Any]) -> None:
    server.misbehave(fault)
    (answer,) = answers(model_of(server), confidence=True)
    assert answer.confidence is None
    assert answer.untold
    assert KEY not in repr(answer)


def test_an_answer_in_one_piece_has_as_long_as_its_words_would_take(server: ServerProcess) -> None:
    server.misbehave({"kind": "silence", "seconds": 5})
    began = time.monotonic()
    error = refused(model_of(server), confidence=True, max_new_tokens=2)  # a second, and half a second a word
    assert error.kind == "slow"
    assert 1.9 < time.monotonic() - began < 4


def test_an_answer_that_was_cut_begins_anew(server: ServerProcess) -> None:
    server.misbehave({"kind": "cut", "after": 2})
    texts: list[str] = []
    done: list[int] = []
    answers(model_of(server), on_token=lambda row, text: texts.append(text), on_progress=lambda n, _: done.append(n))
    assert texts.count("answer to what is it?") == 2
    assert texts[-1] == "answer to what is it? with 1 pictures"
    assert done == sorted(done)


def test_each_word_gives_the_server_its_time_anew(server: ServerProcess) -> None:
    words = "one two three four five six seven"
    server.misbehave({"kind": "none", "text": words, "delay": 0.3})
    began = time.monotonic()
    (answer,) = answers(model_of(server))
    assert answer.text == words
    assert time.monotonic() - began > HASTY.first_token + HASTY.between_tokens
    assert len(server.requests) == 1


def test_a_server_s_wish_to_wait_is_honoured_unless_it_is_too_long(server: ServerProcess) -> None:
    server.misbehave({**STATUS, "status": 429, "headers": {"Retry-After": "1"}})
    answers(model_of(server))
    first, second = (request["at"] for request in server.requests)
    assert second - first >= 1.0
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
    server.misbehave({**STATUS, "status": 503, "headers": {"Retry-After": date}})
    answers(model_of(server))
    first, second = (request["at"] for request in server.requests)
    assert second - first >= 1.5
    server.misbehave({**STATUS, "status": 429, "headers": {"Retry-After": "3600"}})
    began = time.monotonic()
    assert "3600 s" in str(refused(model_of(server)))
    assert time.monotonic() - began < 1


def test_no_credit_is_not_tried_again(server: ServerProcess) -> None:
    broke = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    server.misbehave({**STATUS, "status": 429, "body": broke})
    assert "credit" in str(refused(model_of(server)))
    assert len(server.requests) == 1


def test_a_wrong_model_gets_the_names_of_the_right_ones(server: ServerProcess) -> None:
    server.misbehave()
    error = refused(model_of(server, "no-such-model"))
    assert error.kind == "model"
    assert "'no-such-model'" in str(error)
    assert "scripted-lvlm" in str(error)


def test_the_only_model_needs_no_name(server: ServerProcess) -> None:
    server.misbehave()
    answers(model_of(server, ""))
    assert server.requests[0]["settings"]["model"] == "scripted-lvlm"


def test_a_wrong_key_is_refused_and_not_repeated(server: ServerProcess) -> None:
    server.misbehave()
    model = ServerModel(Profile("test", server.address, stored_key=Secret(KEY[::-1])), limits=HASTY)
    error = refused(model)
    assert error.kind == "key"
    assert KEY[::-1] not in str(error)
    without = ServerModel(Profile("test", server.address), limits=HASTY)
    assert "wants a key" in str(refused(without))
