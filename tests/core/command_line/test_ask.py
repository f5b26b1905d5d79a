"""The command `ask`: on the embedded model and on a server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.command_line import main
from pack.tests.servers.process import ServerProcess, running
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
SCENE = ROOT / "assets" / "scene.png"
QUESTION = "what shape is the red one?"
SHORT = ("--max-new-tokens", "8", "--device", "cpu")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running(key="sk-test-5f4dcc3b5aa765d61d8327deb882cf99") as process:
        yield process


@pytest.fixture
def profiles(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    server.misbehave()
    monkeypatch.setenv("TEST_SERVER_KEY", "sk-test-5f4dcc3b5aa765d61d8327deb882cf99")
    folder = tmp_path / "profiles"
    assert (
        main(["servers", "add", "mine", server.address, "--key-variable", "TEST_SERVER_KEY", "--folder", str(folder)])
        == 0
    )
    return folder


def test_one_picture_gives_its_answer_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(SCENE), "-q", QUESTION, *SHORT]) == 0
    written = capsys.readouterr()
    assert len(written.out.strip().splitlines()) == 1
    assert main(["ask", str(SCENE), "-q", QUESTION, "--json", *SHORT]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["answer"] == written.out.strip()
    assert line["model"] == "tiny-lvlm"
    assert line["decoding"] == {"name": "greedy"}


def test_several_pictures_are_named_and_a_bad_one_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.jpg"):
        Image.open(SCENE).convert("RGB").resize((120, 80)).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert main(["ask", str(tmp_path), str(SCENE), "-q", QUESTION, *SHORT]) == 1
    written = capsys.readouterr()
    named = [line for line in written.out.splitlines() if line.startswith("# ")]
    assert named == [f"# {tmp_path / 'a.png'}", f"# {tmp_path / 'b.jpg'}", f"# {SCENE}"]
    assert "broken.png" in written.err


def test_a_server_is_asked_about_the_prompted_picture(
    server: ServerProcess, profiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    options = ["--server", "mine", "--folder", str(profiles), "--prompted-by", "tiny-clip", "--json"]
    assert main(["ask", str(SCENE), "-q", QUESTION, "--template", "masked hint", *options, "--with-original"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["answer"].endswith("with 2 pictures")
    assert line["prompted_by"] == "tiny-clip"
    (request,) = server.requests
    assert request["texts"] == [line["question_as_sent"]]
    assert "faded" in request["texts"][0]
    original, prompted = (picture["corner"] for picture in request["pictures"])
    assert sum(prompted) < sum(original)


def test_settings_reach_the_server(server: ServerProcess, profiles: Path) -> None:
    options = ["--server", "mine", "--folder", str(profiles), "--temperature", "0.5", "--seed", "9", "--top-k", "4"]
    assert (
        main(["ask", str(SCENE), "-q", QUESTION, *options, "--system-prompt", "be short", "--max-new-tokens", "9"]) == 0
    )
    (request,) = server.requests
    assert request["texts"][0] == "be short"
    asked = {name: request["settings"][name] for name in ("temperature", "seed", "top_k", "max_tokens")}
    assert asked == {"temperature": 0.5, "seed": 9, "top_k": 4, "max_tokens": 9}


def test_an_answer_that_was_cut_is_told_of(profiles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--server", "mine", "--folder", str(profiles), "--max-new-tokens", "2"]
    assert main(["ask", str(SCENE), "-q", QUESTION, *options]) == 0
    assert "not complete" in capsys.readouterr().err


LONG = ROOT / "assets" / "long-scene.png"
MAGNIFIED = ("--prompted-by", "tiny-clip", "--style", "magnify")
HEART = ("-q", "Where is the heart?", "--json", *SHORT)


def test_the_surer_answer_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(LONG), *HEART, *MAGNIFIED, "--keep", "surer"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["answer"], told["kept"]) == ("right", "prompted")
    assert {arm: one["answer"] for arm, one in told["asked"].items()} == {"plain": "left", "prompted": "right"}
    assert told["confidence"] == told["asked"]["prompted"]["confidence"] > told["asked"]["plain"]["confidence"]
    assert main(["ask", str(LONG), *HEART, *MAGNIFIED]) == 0  # the prompted picture's, as ever
    assert json.loads(capsys.readouterr().out)["answer"] == "right"


def test_what_is_sure_is_neither_prompted_nor_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pack.api_core.command_line import ask as command

    prompted: list[object] = []
    once = command.prompt_picture
    monkeypatch.setattr(command, "prompt_picture", lambda *a, **k: prompted.append(a) or once(*a, **k))
    assert main(["ask", str(LONG), *HEART, *MAGNIFIED, "--keep", "surer", "--skip-above", "0.2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["answer"], told["kept"], list(told["asked"])) == ("left", "plain", ["plain"])
    assert not prompted
    assert main(["ask", str(LONG), str(SCENE), *HEART, *MAGNIFIED, "--keep", "surer", "--skip-above", "0.9"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(prompted) == sum(len(told["asked"]) == 2 for told in lines) >= 1


def test_what_is_not_there_is_asked_of_the_plain_picture(capsys: pytest.CaptureFixture[str]) -> None:
    from pack.api_core.command_line import ask as command
    from pack.api_core.pictures import to_picture

    shown: list[torch.Tensor] = []
    once = command.ask

    def ask(model: Any, pictures: list[torch.Tensor], *args: Any, **how: Any) -> Any:
        shown.extend(pictures)
        return once(model, pictures, *args, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "ask", ask)
        for question in ("Is there a red star?", "Is there a brown triangle?"):
            asked = [str(SCENE), "-q", question, "--prompted-by", "tiny-clip", "--least-presence", "3", "--json"]
            assert main(["ask", *asked]) == 0
    there, absent = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert there["presence"] > 3 > absent["presence"]
    plain = to_picture(SCENE)[..., :3]
    assert not torch.equal(shown[0], plain)
    assert torch.equal(shown[1], plain)


def test_a_server_has_to_say_how_sure_it_is(
    server: ServerProcess, profiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [str(SCENE), "-q", QUESTION, "--server", "mine", "--folder", str(profiles), *MAGNIFIED, "--keep", "surer"]
    assert main(["ask", *asked]) == 2
    written = capsys.readouterr()
    (line,) = [line for line in written.err.splitlines() if line.startswith("error:")]
    assert "scripted-lvlm" in line or "the model at mine" in line
    assert "does not say how likely" in line
    entry = {"token": "red", "logprob": -0.5}
    server.misbehave(
        {"kind": "none", "text": "red", "logprobs": [entry]},
        {"kind": "none", "text": "blue", "logprobs": [{**entry, "token": "blue", "logprob": -0.1}]},
    )
    capsys.readouterr()
    assert main(["ask", *asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["answer"], told["kept"], told["confidence"]) == ("blue", "prompted", pytest.approx(0.904837, abs=1e-5))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--template", "hint"], "needs hint"),
        (["--hint", "left"], "no place for hint"),
        (["--template", "{question} {x}"], "not known"),
        (["--server-model", "m"], "--server"),
        (["--server", "nobody"], "no server profile"),
        (["--with-original"], "--prompted-by"),
        (["--model", "none"], "has to answer"),
        (["--keep", "surer"], "add --prompted-by"),
        (["--keep", "surer", "--prompted-by", "tiny-clip", "--with-original"], "--with-original"),
        (["--keep", "surer", "--prompted-by", "tiny-clip", "--temperature", "0.7"], "Decode greedily"),
        (["--keep", "surer", "--prompted-by", "tiny-clip", "--decoding", "VCD"], "VCD"),
        (["--skip-above", "0.9"], "--skip-above belongs to --keep surer"),
        (["--style", "magnify"], "--style says how a picture is prompted"),
        (["--strength", "0.5"], "--strength"),
        (["--least-presence", "3"], "--least-presence says how a picture is prompted"),
        (["--least-presence", "3", "--prompted-by", "tiny-lvlm"], "--least-presence is for a CLIP"),
        (["--prompted-by", "tiny-clip", "--radius", "2"], "--radius belongs to --style blur"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_done(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(SCENE), "-q", QUESTION, "--folder", str(tmp_path), *options]) == 2
    written = capsys.readouterr()
    assert says in written.err
    assert not written.out
