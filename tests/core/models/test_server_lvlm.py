"""The embedded model behind a server: its tokens over real sockets, the same answers as here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pack.api_core.answering import Sample, ask
from pack.api_core.errors import Cancelled
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.models.server import Limits, Profile, Secret, ServerModel
from pack.api_core.pictures import to_picture
from pack.tests.servers.process import ServerProcess, running

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk-test-5f4dcc3b5aa765d61d8327deb882cf99"
QUESTIONS = ["what shape is the red one?", "how many stars are there?", "what color is the star?"]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running(key=KEY, model=ROOT / "api_core" / "embedded" / "tiny_lvlm") as process:
        yield process


@pytest.fixture
def model(server: ServerProcess) -> ServerModel:
    server.misbehave()
    return ServerModel(Profile("test", server.address, stored_key=Secret(KEY)), limits=Limits(first_wait=0.02))


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    scene = to_picture(ROOT / "assets" / "scene.png")[..., :3]
    return [scene, scene.flip(1).contiguous(), scene[:300, :400].contiguous()]


def test_a_server_gives_the_answers_of_the_same_model_here(model: ServerModel, pictures: list[torch.Tensor]) -> None:
    local = load_lvlm("tiny-lvlm", device="cpu", precision="fp32")
    seen: list[tuple[int, str]] = []
    here = ask(local, pictures, QUESTIONS, max_new_tokens=8)
    there = ask(model, pictures, QUESTIONS, max_new_tokens=8, on_token=lambda row, text: seen.append((row, text)))
    assert [(answer.text, answer.complete) for answer in there] == [(answer.text, answer.complete) for answer in here]
    assert {row for row, _ in seen} == {0, 1, 2}


def test_a_server_s_samples_follow_their_seed(model: ServerModel, pictures: list[torch.Tensor]) -> None:
    def answer(seed: int) -> str:
        decoding = Sample(temperature=3.0, top_p=1.0, seed=seed)
        return ask(model, pictures[:1], QUESTIONS[0], decoding=decoding, max_new_tokens=12)[0].text

    assert len({answer(seed) for seed in range(6)}) > 1
    assert answer(1) == answer(1)


def test_a_connection_lost_in_the_middle_is_mended(
    server: ServerProcess, model: ServerModel, pictures: list[torch.Tensor]
) -> None:
    whole = ask(model, pictures[:1], "describe the picture.", max_new_tokens=8)[0]
    server.misbehave({"kind": "cut", "after": 1}, {"kind": "status", "status": 500, "body": "oops"})
    lines: list[str] = []
    again = ask(model, pictures[:1], "describe the picture.", max_new_tokens=8, on_notice=lines.append)[0]
    assert again.text == whole.text
    assert len(lines) == 2 if len(whole.text.split()) > 1 else len(lines) >= 1


def test_stop_in_the_middle_closes_the_connection(
    server: ServerProcess, model: ServerModel, pictures: list[torch.Tensor]
) -> None:
    server.misbehave({"kind": "none", "delay": 0.2})

    def stop(done: int, most: int) -> None:
        if done:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        ask(model, pictures[:1], QUESTIONS[0], max_new_tokens=8, on_progress=stop)
    assert ask(model, pictures[:1], QUESTIONS[0], max_new_tokens=8)[0].text
