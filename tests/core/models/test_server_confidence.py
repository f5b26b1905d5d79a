"""How sure a server's model was of its answer: read from its log-probabilities, or told plainly why it is not known."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.answering import Answer, Sample, ask, ask_surest
from pack.api_core.errors import InvalidInput, ServerFailed
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.models.server import Limits, Profile, ServerModel
from pack.api_core.pictures import to_picture
from pack.tests.servers.process import ServerProcess, running

ROOT = Path(__file__).resolve().parents[3]
TOLD = 0.5 * 0.8 * 0.9


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running() as process:
        yield process


@pytest.fixture(scope="module")
def tiny() -> Iterator[ServerProcess]:
    with running(model=ROOT / "api_core" / "embedded" / "tiny_lvlm") as process:
        yield process


@pytest.fixture
def model(server: ServerProcess) -> ServerModel:
    server.misbehave()
    return ServerModel(Profile("test", server.address), "scripted-lvlm", limits=Limits(retries=1, first_wait=0.01))


def picture(level: float = 0.5) -> torch.Tensor:
    return torch.full((20, 30, 3), level)


def entries(*tokens: tuple[str, float], **more: Any) -> list[dict[str, Any]]:
    return [{"token": text, "logprob": math.log(share), "bytes": None, **more} for text, share in tokens]


def says(text: str, told: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "none", "text": text, "logprobs": told, **more}


RED_STAR = entries(("red", 0.5), (" star", 0.8), ("<|im_end|>", 0.9))
BY_CHARACTER = [*entries(("x", 0.5), bytes=[0xC3]), *entries(("y", 0.8), bytes=[0xA9]), *entries(("</s>", 0.9))]


def sure(server: ServerProcess, model: ServerModel, fault: dict[str, Any]) -> Answer:
    server.misbehave(fault)
    (answer,) = ask(model, [picture()], "x", confidence=True)
    return answer


@pytest.mark.parametrize("form", [{}, {"streams": True}])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (says("red star", RED_STAR), TOLD),
        (says("red star", RED_STAR[:2]), 0.5 * 0.8),  # engines that keep the end to themselves
        (says("é", BY_CHARACTER), TOLD),  # a letter torn between tokens, whole in bytes
        (says("é!", entries(("�", 0.5), ("�", 0.8), ("!", 0.9))), TOLD),  # and lost where there are none
        (says("é", entries(("�", 0.5), ("", 0.8))), 0.4),
        (says("</s", entries(("</s", 0.5), ("</s>", 0.8))), 0.4),
    ],
)
def test_confidence_is_the_product_over_the_answer_s_tokens_and_its_end(
    server: ServerProcess, model: ServerModel, form: dict[str, Any], fault: dict[str, Any], expected: float
) -> None:
    answer = sure(server, model, {**fault, **form})
    assert answer.confidence == pytest.approx(expected)
    assert not answer.untold
    (request,) = server.requests
    assert (request["settings"]["logprobs"], request["settings"]["stream"]) == (True, False)


THOUGHT = entries(("<think>", 0.1), ("a star", 0.1), ("</think>", 0.1))
HARMONY = entries(("<|channel|>analysis<|message|>", 0.1), ("hm", 0.1), ("<|end|>", 0.1), ("<|message|>", 0.1))


@pytest.mark.parametrize("form", [{}, {"streams": True}])
@pytest.mark.parametrize(
    "fault",
    [
        says("<think>a star</think>\n\nred star", THOUGHT + entries(("\n\n", 0.1)) + RED_STAR),
        says("a star</think> red star", THOUGHT[1:] + RED_STAR),
        says("hm", HARMONY + RED_STAR, field="reasoning", then="red star"),
        says("a star", THOUGHT + RED_STAR, field="reasoning_content", then="red star"),
        says("a star", RED_STAR, field="reasoning_content", then="red star"),  # of its thinking it tells nothing
    ],
)
def test_thinking_does_not_count(
    server: ServerProcess, model: ServerModel, form: dict[str, Any], fault: dict[str, Any]
) -> None:
    answer = sure(server, model, {**fault, **form})
    assert (answer.text, bool(answer.thinking)) == ("red star", True)
    assert answer.confidence == pytest.approx(TOLD)


def test_thinking_that_ends_in_the_answer_s_words_is_told_from_it(server: ServerProcess, model: ServerModel) -> None:
    told = entries(("red", 0.1), ("</think>", 0.1), ("red", 0.5), ("<eos>", 0.8))
    answer = sure(server, model, says("red", told, field="reasoning", then="red"))
    assert answer.confidence == pytest.approx(0.4)


def test_an_answer_that_never_came_is_not_sure(server: ServerProcess, model: ServerModel) -> None:
    answer = sure(server, model, says("<think>one two three", THOUGHT))
    assert (answer.text, answer.confidence) == ("", 0.0)


@pytest.mark.parametrize("form", [{}, {"streams": True}])
@pytest.mark.parametrize(
    ("told", "says_why"),
    [
        (None, "gives no log-probabilities"),
        ([], "gives no log-probabilities"),
        (RED_STAR[1:], "every token"),
        (RED_STAR[:1], "every token"),
        (entries(("blue", 0.5), (" star", 0.8)), "every token"),
        ([{"token": "red star", "logprob": math.nan}], "nan"),
        ([{"token": "red star", "logprob": -math.inf}], "-inf"),
        ([{"token": "red star", "logprob": 0.5}], "0.5"),
        ([{"token": "red star", "logprob": True}], "as the log-probability"),
        ([{"token": "red star", "logprob": "sure"}], "type str"),
        ([{"token": "red star", "logprob": None}], "nothing"),
        ([{"token": "red star"}], "nothing"),
        ([{"token": 7, "logprob": -0.5}], "type int as a token"),
        ([None], "nothing as the log-probability"),
        (["red star"], "nothing as the log-probability"),
    ],
)
def test_what_is_no_log_probability_is_told_and_never_guessed(
    server: ServerProcess, model: ServerModel, told: Any, says_why: str, form: dict[str, Any]
) -> None:
    answer = sure(server, model, says("red star", told, **form))
    assert (answer.text, answer.confidence) == ("red star", None)
    assert says_why in answer.untold
    server.misbehave(says("red star", told, **form))
    with pytest.raises(InvalidInput, match="does not say how likely") as caught:
        ask_surest(model, [picture()], [[picture()]], "x")
    said = str(caught.value)
    assert says_why in said
    assert "load a model on this machine" in said
    assert "\n" not in said


@pytest.mark.parametrize("told", ["yes", {"a": 1}, 5])
def test_what_is_no_list_of_tokens_is_told(server: ServerProcess, model: ServerModel, told: Any) -> None:
    answer = sure(server, model, {"kind": "whole", "text": "red star", "logprobs": told})
    assert (answer.text, answer.confidence) == ("red star", None)
    assert "in place of a list" in answer.untold


def test_bytes_that_are_none_leave_the_text(server: ServerProcess, model: ServerModel) -> None:
    told = [{**RED_STAR[0], "bytes": [300]}, {**RED_STAR[1], "bytes": "no"}, RED_STAR[2]]
    assert sure(server, model, says("red star", told)).confidence == pytest.approx(TOLD)


def refusing(status: int, message: str, **more: Any) -> dict[str, Any]:
    return {"kind": "status", "status": status, "body": {"error": {"message": message, **more}}}


@pytest.mark.parametrize(
    "refusal",
    [
        refusing(403, "You are not allowed to request logprobs from this model", type="invalid_request_error"),
        refusing(400, "logprobs are not supported with reasoning models.", code="unsupported_parameter"),
        refusing(400, "Unsupported parameter", param="logprobs", code="unsupported_parameter"),
        refusing(422, "Extra inputs are not permitted: body.logprobs"),
        refusing(400, "Log probabilities are disabled on this server"),
        refusing(400, "Bad request"),
        refusing(500, "internal error"),
    ],
)
def test_a_server_that_refuses_is_asked_without_and_the_surer_answer_is_refused(
    server: ServerProcess, model: ServerModel, refusal: dict[str, Any]
) -> None:
    times = 2 if refusal["status"] == 500 else 1  # trouble may pass
    server.misbehave(*[refusal] * times)
    (answer,) = ask(model, [picture()], "x", confidence=True)
    assert (answer.text, answer.confidence, answer.notes) == ("answer to x with 1 pictures", None, ())
    assert "refuses" in answer.untold
    last = server.requests[-1]["settings"]
    assert "logprobs" not in last
    assert last["stream"] is True
    server.misbehave(*[refusal] * times)
    with pytest.raises(InvalidInput, match=f"(?s)does not say how likely.*{refusal['status']}.*load a model"):
        ask_surest(model, [picture()], [[picture()]], "x")


def test_a_refusal_that_is_not_about_it_is_told_as_itself(server: ServerProcess, model: ServerModel) -> None:
    server.misbehave(*[refusing(400, "request (9 tokens) exceeds the available context size (2 tokens)")] * 2)
    with pytest.raises(ServerFailed, match="context size"):
        ask(model, [picture()], "x", confidence=True)
    server.misbehave(refusing(400, "Unsupported: seed", param="seed", code="unsupported_parameter"))
    (answer,) = ask(model, [picture()], "x", decoding=Sample(seed=3), confidence=True)
    assert answer.notes == ("the model takes no seed; its own was used",)
    assert server.requests[-1]["settings"]["logprobs"] is True


def test_nothing_is_asked_for_unless_it_is_wanted(server: ServerProcess, model: ServerModel) -> None:
    server.misbehave(says("red star", RED_STAR))
    (answer,) = ask(model, [picture()], "x")
    assert (answer.confidence, answer.untold) == (None, "")
    assert "logprobs" not in server.requests[0]["settings"]


def test_the_surer_answer_of_a_server(server: ServerProcess, model: ServerModel) -> None:
    left, right = (says(text, entries((text, share))) for text, share in (("left", 0.6), ("right", 0.9)))
    server.misbehave(left, right)
    (found,) = ask_surest(model, [picture(0.2)], [[picture(0.8)]], "Where?")
    assert (found.answer.text, found.which) == ("right", 1)
    assert found.confidence == pytest.approx(0.9)
    assert [request["pictures"][0]["corner"][0] for request in server.requests] == [51, 204]
    server.misbehave(left, says("right", entries(("right", 0.6))))
    assert ask_surest(model, [picture(0.2)], [[picture(0.8)]], "Where?")[0].which == 0  # a tie keeps the plain one
    server.misbehave(right, left)
    assert ask_surest(model, [picture(0.2)], [[picture(0.8)]], "Where?", skip_above=0.9)[0].which == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("streams", [False, True])
def test_the_embedded_model_is_as_sure_on_a_server_as_here(tiny: ServerProcess, streams: bool) -> None:
    scene = to_picture(ROOT / "assets" / "scene.png")[..., :3]
    questions = ["what shape is the red one?", "how many stars are there?"]
    here = ask(load_lvlm("tiny-lvlm", device="cpu", precision="fp32"), [scene], questions, max_new_tokens=8)
    tiny.misbehave(*[{"kind": "none", "streams": streams}] * 2)
    there = ask(ServerModel(Profile("tiny", tiny.address)), [scene], questions, max_new_tokens=8, confidence=True)
    for local, remote in zip(here, there, strict=True):
        assert remote.text == local.text
        assert remote.confidence == pytest.approx(local.confidence, abs=1e-4)
