"""Surer Answer: the prompted picture's answer where it is surer, the plain one's else; and Ask LVLM's confidence."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core import to_picture
from pack.api_core.errors import InvalidInput
from pack.api_core.models.server import Profile, connect
from pack.api_core.overlay import MagnifyStyle, apply
from pack.tests.on_host import Run
from pack.tests.servers.process import ServerProcess, running
from torch import Tensor

NODE = "AttnPromptSurerAnswer"
SETTINGS = {"question": ["Where is the heart?"], "skip_above": [0.995], "template": ["plain"], "max_new_tokens": [8]}


@pytest.fixture
def model(run: Run) -> Any:
    (loaded,) = run(
        "AttnPromptLoadLVLM",
        model="tiny-lvlm",
        precision="auto",
        attention="auto",
        max_pixels=0,
        allow_download=False,
    ).args
    return loaded


@pytest.fixture(scope="module")
def plain() -> Tensor:
    return to_picture(Path(__file__).parents[2] / "assets" / "long-scene.png")[None, ..., :3]


@pytest.fixture(scope="module")
def magnified(plain: Tensor) -> Tensor:
    mask = torch.zeros(plain.shape[1:3])
    mask[90:130, 360:410] = 1
    return apply(plain, mask, MagnifyStyle())


@pytest.mark.both_hosts
def test_the_surer_answer_and_the_picture_that_gave_it(run: Run, model: Any, plain: Tensor, magnified: Tensor) -> None:
    result = run(NODE, model=[model], image=[plain], prompted={"prompted0": [magnified]}, **SETTINGS)
    answers, which, confidence, pictures = result.args
    assert (answers, which) == (["right"], [1])
    assert confidence[0] > 0.9
    assert torch.allclose(pictures[0].cpu().float(), magnified, atol=1e-3)


def test_a_batch_is_judged_case_by_case(run: Run, model: Any, plain: Tensor, magnified: Tensor) -> None:
    both = torch.cat([plain, magnified])
    result = run(NODE, model=[model], image=[both], prompted={"prompted0": [both.flip(0)]}, **SETTINGS)
    assert result.args[0] == ["right", "right"]
    assert result.args[1] == [1, 0]


def test_without_a_prompted_picture_it_says_what_is_missing(run: Run, model: Any, plain: Tensor) -> None:
    with pytest.raises(InvalidInput, match="no prompted pictures"):
        run(NODE, model=[model], image=[plain], **SETTINGS)


def test_ask_says_how_sure_each_answer_is(run: Run, model: Any, plain: Tensor, magnified: Tensor) -> None:
    result = run(
        "AttnPromptAsk",
        model=[model],
        image=[torch.cat([plain, magnified])],
        question=["Where is the heart?"],
        template=["plain"],
        system_prompt=[""],
        max_new_tokens=[8],
        seed=[0],
        decoding={"decoding": ["greedy"]},
    )
    unsure, sure = result.args[3]
    assert 0 < unsure < 0.9 < sure <= 1


def entries(text: str, share: float) -> list[dict[str, Any]]:
    return [{"token": text, "logprob": math.log(share)}]


def answer(text: str, share: float | None) -> dict[str, Any]:
    return {"kind": "none", "text": text, "logprobs": share and entries(text, share)}


@pytest.fixture(scope="module")
def chat() -> Iterator[ServerProcess]:
    with running() as process:
        yield process


@pytest.fixture
def server(chat: ServerProcess) -> Any:
    """What Connect LVLM Server puts out."""
    return connect(Profile("work", chat.address), "scripted-lvlm")


ASKED = {
    "question": ["Where?"],
    "template": ["plain"],
    "system_prompt": [""],
    "max_new_tokens": [8],
    "seed": [0],
    "decoding": {"decoding": ["greedy"]},
}


@pytest.mark.both_hosts
def test_a_server_that_tells_gives_the_surer_answer(run: Run, chat: ServerProcess, server: Any, plain: Tensor) -> None:
    chat.misbehave(answer("left", 0.5), answer("right", 0.8))
    prompted = {"prompted0": [plain.flip(1)]}
    answers, which, confidence, _ = run(NODE, model=[server], image=[plain], prompted=prompted, **SETTINGS).args
    assert (answers, which) == (["right"], [1])
    assert confidence == [pytest.approx(0.8)]


def test_a_server_that_does_not_tell_is_refused_in_one_line(
    run: Run, chat: ServerProcess, server: Any, plain: Tensor
) -> None:
    chat.misbehave(answer("left", None))
    with pytest.raises(InvalidInput, match=r"^scripted-lvlm at work does not say how likely .*load a model.*$"):
        run(NODE, model=[server], image=[plain], prompted={"prompted0": [plain]}, **SETTINGS)


def test_a_server_is_asked_how_sure_it_is_where_something_is_connected(
    run: Run, chat: ServerProcess, server: Any, plain: Tensor
) -> None:
    chat.misbehave(answer("left", 0.5))
    told = run("AttnPromptAsk", connected=[0, 3], model=[server], image=[plain], **ASKED).args
    assert (told[0], told[3]) == (["left"], [pytest.approx(0.5)])
    chat.misbehave(answer("left", 0.5))
    told = run("AttnPromptAsk", connected=[0, 2], model=[server], image=[plain], **ASKED).args
    assert told[0] == ["left"]
    assert "before confidence was connected" in told[3].message
    assert "logprobs" not in chat.requests[0]["settings"]


@pytest.mark.parametrize("refuses", [False, True])
def test_a_server_that_does_not_tell_still_answers(
    run: Run, chat: ServerProcess, server: Any, plain: Tensor, refuses: bool
) -> None:
    message = "You are not allowed to request logprobs from this model"
    refusal = {"kind": "status", "status": 403, "body": {"error": {"message": message}}}
    chat.misbehave(*[refusal] * refuses, answer("left", None))
    told = run("AttnPromptAsk", connected=[3], model=[server], image=[plain], **ASKED).args
    assert told[0] == ["left"]
    assert (message if refuses else "gives no log-probabilities") in told[3].message
    assert "disconnect confidence" in told[3].message
