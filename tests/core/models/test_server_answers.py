"""What a server is sent, and what is made of what it sends."""

import os
import threading
from collections.abc import Iterator

import pytest
import torch
from pack.api_core.answering import Greedy, Sample, ask
from pack.api_core.errors import InvalidInput
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.server import Limits, Profile, ServerModel
from pack.api_core.models.server.client import PNG_UP_TO, data_url
from pack.tests.servers.process import ServerProcess, running


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running() as process:
        yield process


@pytest.fixture
def model(server: ServerProcess) -> ServerModel:
    server.misbehave()
    return ServerModel(Profile("test", server.address), "scripted-lvlm", limits=Limits(retries=0, at_once=2))


def one(level: float = 0.5) -> torch.Tensor:
    return torch.full((1, 20, 30, 3), level)


def test_a_question_goes_with_its_pictures_in_order_and_a_system_prompt(
    server: ServerProcess, model: ServerModel
) -> None:
    ask(model, one(0.2), "what is it?", more_pictures=[one(0.6), one(1.0)], system_prompt="be short", max_new_tokens=7)
    (request,) = server.requests
    assert request["texts"] == ["be short", "what is it?"]
    assert [picture["corner"] for picture in request["pictures"]] == [[51] * 3, [153] * 3, [255] * 3]
    assert {picture["format"] for picture in request["pictures"]} == {"PNG"}
    assert request["settings"] == {"model": "scripted-lvlm", "stream": True, "max_tokens": 7, "temperature": 0.0}
    assert "authorization" not in request["headers"]


def test_sampling_and_its_seed_are_passed_on(server: ServerProcess, model: ServerModel) -> None:
    ask(model, one(), "x", decoding=Sample(temperature=0.5, top_p=0.8, top_k=40, seed=123))
    settings = server.requests[0]["settings"]
    assert {name: settings[name] for name in ("temperature", "top_p", "top_k", "seed")} == {
        "temperature": 0.5,
        "top_p": 0.8,
        "top_k": 40,
        "seed": 123,
    }


def test_a_batch_gives_as_many_answers_in_order_and_no_more_at_once_than_allowed(
    server: ServerProcess, model: ServerModel
) -> None:
    server.misbehave(*[{"kind": "none", "delay": 0.02}] * 6)
    seen: list[tuple[int, str]] = []
    done: list[tuple[int, int]] = []
    answers = ask(
        model,
        one().expand(6, -1, -1, -1),
        [f"question {index}?" for index in range(6)],
        max_new_tokens=10,
        on_token=lambda row, text: seen.append((row, text)),
        on_progress=lambda now, most: done.append((now, most)),
    )
    assert [answer.text for answer in answers] == [f"answer to question {i}? with 1 pictures" for i in range(6)]
    assert server.log()["most_at_once"] == 2
    assert {row for row, _ in seen} == set(range(6))
    assert all(answers[row].text.startswith(text) for row, text in seen)
    assert done == sorted(done)
    assert done[-1] == (60, 60)


def test_callbacks_come_in_the_caller_s_thread(model: ServerModel) -> None:
    threads = set()
    ask(
        model,
        one(),
        "x",
        on_token=lambda *_: threads.add(threading.get_ident()),
        on_progress=lambda *_: threads.add(threading.get_ident()),
    )
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "none", "text": "red or not", "field": "reasoning_content", "then": "a circle"},
        {"kind": "none", "text": "red or not", "field": "reasoning", "then": "a circle"},
        {"kind": "none", "text": "<think>red or not</think> a circle"},
        {"kind": "none", "text": "red or not</think> a circle"},
        {"kind": "whole", "text": "<think>red or not</think>a circle"},
    ],
)
def test_thinking_is_told_apart(server: ServerProcess, model: ServerModel, fault: dict[str, str]) -> None:
    server.misbehave(fault)
    (answer,) = ask(model, one(), "x")
    assert (answer.text, answer.thinking, answer.complete) == ("a circle", "red or not", True)


@pytest.mark.parametrize(
    ("text", "answer", "as_sent"),
    [("\n 8 9 \n", "8 9", "\n 8 9 \n"), ("<think>hm</think>\n8 9", "8 9", "8 9")],
)
def test_a_reply_says_which_model_gave_it_and_how_it_came(
    server: ServerProcess, model: ServerModel, text: str, answer: str, as_sent: str
) -> None:
    for kind, name in (("none", "m"), ("whole", "")):
        server.misbehave({"kind": kind, "text": text})
        (reply,) = model.generate([Case((), "compare")], max_new_tokens=30)
        assert (reply.reply.text, reply.as_sent, reply.model) == (answer, as_sent, name)


def test_thinking_that_uses_up_the_limit_leaves_an_empty_incomplete_answer(
    server: ServerProcess, model: ServerModel
) -> None:
    server.misbehave({"kind": "none", "text": "<think>one two three four five"})
    (answer,) = ask(model, one(), "x", max_new_tokens=4)
    assert (answer.text, answer.complete) == ("", False)
    assert answer.thinking.startswith("one two")


def test_the_limit_of_tokens_makes_an_answer_incomplete(model: ServerModel) -> None:
    (short,) = ask(model, one(), "x", max_new_tokens=2)
    assert (short.text, short.complete) == ("answer to x with", False)
    (whole,) = ask(model, one(), "x", max_new_tokens=20)
    assert (whole.text, whole.complete) == ("answer to x with 1 pictures", True)


def test_a_filtered_answer_says_so(server: ServerProcess, model: ServerModel) -> None:
    server.misbehave({"kind": "none", "text": "half an", "finish": "content_filter"})
    (answer,) = ask(model, one(), "x")
    assert answer.complete is False
    assert "filter" in answer.notes[0]


def test_settings_that_a_model_does_not_take_are_left_out_and_told(server: ServerProcess, model: ServerModel) -> None:
    def not_taken(name: str) -> dict[str, object]:
        error = {"message": f"Unsupported: {name}", "param": name, "code": "unsupported_parameter"}
        return {"kind": "status", "status": 400, "body": {"error": error}}

    unexpected = {"kind": "status", "status": 422, "body": {"detail": "Unexpected fields in the request: {'top_k'}"}}
    server.misbehave(not_taken("max_tokens"), not_taken("temperature"), unexpected)
    lines: list[str] = []
    (answer,) = ask(model, one(), "x", decoding=Sample(seed=1, top_k=5), max_new_tokens=9, on_notice=lines.append)
    last = server.requests[-1]["settings"]
    assert last["max_completion_tokens"] == 9
    assert not {"max_tokens", "temperature", "top_k"} & set(last)
    assert last["seed"] == 1
    assert len(answer.notes) == len(lines) == 3
    assert "temperature" in answer.notes[1]


def test_each_of_a_batch_does_without_a_setting_that_the_model_does_not_take(server: ServerProcess) -> None:
    unexpected = {"kind": "status", "status": 422, "body": {"detail": "Unexpected fields in the request: {'top_k'}"}}
    server.misbehave(unexpected, {"kind": "none"}, unexpected)
    model = ServerModel(Profile("test", server.address), "scripted-lvlm", limits=Limits(at_once=1))
    answers = ask(model, one().expand(2, -1, -1, -1), "x", decoding=Sample(seed=1, top_k=5))
    assert [len(answer.notes) for answer in answers] == [1, 1]
    assert ["top_k" in request["settings"] for request in server.requests] == [True, False, True, False]


def test_small_pictures_go_as_they_are_and_large_ones_as_fine_jpeg() -> None:
    import base64
    import io

    from PIL import Image

    side = int(PNG_UP_TO**0.5)
    small = torch.rand(40, 50, 3, generator=torch.Generator().manual_seed(1))
    address = data_url(small)
    assert address.startswith("data:image/png;base64,")
    sent = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    levels = torch.tensor(list(sent.tobytes()), dtype=torch.uint8).reshape(40, 50, 3)
    assert torch.equal(levels, small.mul(255).round().to(torch.uint8))
    assert data_url(torch.zeros(side, side, 3)).startswith("data:image/png")
    large = data_url(torch.zeros(side + 1, side, 3))
    assert large.startswith("data:image/jpeg;base64,")
    jpeg = Image.open(io.BytesIO(base64.b64decode(large.split(",")[1])))
    assert max(jpeg.quantization[0]) <= 13  # what Pillow's quality 95 gives; 90 goes to 24
    assert jpeg.layer[0][1:3] == (1, 1)  # no subsampling


def test_proxies_are_for_other_machines_only(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")]:
        monkeypatch.delenv(name)
    dead = "http://127.0.0.1:9"
    monkeypatch.setenv("HTTP_PROXY", dead)
    monkeypatch.setenv("ALL_PROXY", dead)
    server.misbehave()
    assert ask(ServerModel(Profile("here", server.address), "scripted-lvlm"), one(), "x")[0].complete
    monkeypatch.setenv("HTTP_PROXY", server.root)
    elsewhere = ServerModel(Profile("elsewhere", "http://lvlm.example.invalid/v1"), "scripted-lvlm")
    assert ask(elsewhere, one(), "x")[0].complete
    assert server.requests[-1]["headers"]["path"] == "http://lvlm.example.invalid/v1/chat/completions"


def test_settings_of_the_client_library_in_the_environment_do_not_reach_a_server(
    server: ServerProcess, model: ServerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-somebody-elses")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    ask(model, one(), "x")
    assert "sk-somebody-elses" not in str(server.requests)


def test_what_a_server_cannot_do_is_refused(model: ServerModel) -> None:
    with pytest.raises(InvalidInput, match="beginning"):
        model.generate([Case((one()[0],), "x", opening="It is")], max_new_tokens=5)
    with pytest.raises(InvalidInput, match="max_new_tokens"):
        model.generate([], max_new_tokens=0)
    with pytest.raises(InvalidInput, match="beams"):
        model.generate([], max_new_tokens=1, settings={"beams": 4})
    with pytest.raises(InvalidInput, match="line break"):
        ServerModel(model.profile, "a\nb")
    with pytest.raises(InvalidInput, match="retries"):
        Limits(retries=-1)


def test_the_same_model_may_be_asked_from_several_threads(server: ServerProcess, model: ServerModel) -> None:
    answers: dict[int, str] = {}

    def work(number: int) -> None:
        answers[number] = ask(model, one(), f"number {number}?", decoding=Greedy())[0].text

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {number: f"answer to number {number}? with 1 pictures" for number in range(4)}
