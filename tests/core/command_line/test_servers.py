"""The command `servers`: profiles come and go, keys are typed unseen, and a model that does not see is found out."""

import getpass
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pack.api_core.command_line import main
from pack.tests.servers.process import ServerProcess, running

KEY = "sk-test-5f4dcc3b5aa765d61d8327deb882cf99"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running(key=KEY) as process:
        yield process


def servers(folder: Path, action: str, *options: str) -> int:
    return main(["servers", action, *options, "--folder", str(folder)])


def type_key(monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> list[str]:
    """Somebody sits at a terminal and types the key; returns what they were asked."""
    asked: list[str] = []

    def hidden(prompt: str) -> str:
        asked.append(prompt)
        return key

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(getpass, "getpass", hidden)
    return asked


def test_a_typed_key_is_kept_and_shown_nowhere(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = type_key(monkeypatch)
    assert servers(tmp_path, "add", "mine", server.address, "--store-key") == 0
    assert len(asked) == 1
    assert servers(tmp_path, "list") == 0
    assert servers(tmp_path, "add", "mine", server.address) == 2
    server.misbehave()
    assert servers(tmp_path, "test", "mine") == 0
    written = capfd.readouterr()
    assert "key stored in the profile" in written.out
    assert "models: scripted-lvlm" in written.out
    assert "sees pictures: yes" in written.out
    assert "already" in written.err
    assert KEY not in written.out + written.err
    file = tmp_path / "servers.json"
    assert KEY in file.read_text(encoding="utf-8")
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert servers(tmp_path, "remove", "mine") == 0
    assert KEY not in file.read_text(encoding="utf-8")
    assert servers(tmp_path, "remove", "mine") == 2


def test_without_a_terminal_no_key_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    assert servers(tmp_path, "add", "mine", "http://10.0.0.2", "--store-key") == 2
    assert "--key-variable" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_key_given_as_a_variable_s_name_is_refused_and_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert servers(tmp_path, "add", "mine", "http://10.0.0.2", "--key-variable", KEY) == 2
    assert servers(tmp_path, "add", "mine", f"http://{KEY}@10.0.0.2") == 2
    written = capsys.readouterr()
    assert KEY not in written.out + written.err
    assert not list(tmp_path.iterdir())


def test_a_preset_brings_its_address_and_its_variable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert servers(tmp_path, "add", "openai") == 0
    assert "https://api.openai.com/v1, key in $OPENAI_API_KEY" in capsys.readouterr().out
    assert servers(tmp_path, "add", "stranger") == 2
    assert "needs its address" in capsys.readouterr().err


def test_a_key_that_would_travel_in_the_open_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert servers(tmp_path, "add", "far", "http://10.0.0.2", "--key-variable", "FAR_KEY") == 0
    assert "not encrypted" in capsys.readouterr().err
    assert servers(tmp_path, "add", "near", "http://127.0.0.1:1", "--key-variable", "NEAR_KEY") == 0
    assert servers(tmp_path, "add", "open", "http://10.0.0.2") == 0
    assert "not encrypted" not in capsys.readouterr().err


def test_a_model_that_does_not_look_is_found_out(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_SERVER_KEY", KEY)
    assert servers(tmp_path, "add", "mine", server.address, "--key-variable", "TEST_SERVER_KEY") == 0
    server.misbehave(*[{"kind": "none", "text": "It is white."}] * 3)
    assert servers(tmp_path, "test", "mine", "--model", "scripted-lvlm") == 1
    assert "sees pictures: no" in capsys.readouterr().out
    monkeypatch.delenv("TEST_SERVER_KEY")
    assert servers(tmp_path, "test", "mine") == 2
    assert "TEST_SERVER_KEY" in capsys.readouterr().err
