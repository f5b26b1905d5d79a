"""The command `ask`: on the embedded model and on a server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
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
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_done(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(SCENE), "-q", QUESTION, "--folder", str(tmp_path), *options]) == 2
    written = capsys.readouterr()
    assert says in written.err
    assert not written.out
