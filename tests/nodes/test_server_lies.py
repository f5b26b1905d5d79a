"""Thirty and more kinds of wrong answers of a server, through the node and through the command line: own words each."""

import dataclasses
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.command_line import main
from pack.api_core.errors import AttentionPromptingError
from pack.tests.core.models.server_faults.asking import HASTY
from pack.tests.nodes.conftest import ASK
from pack.tests.on_host import Run
from pack.tests.servers.lies import LIES, Lie
from pack.tests.servers.process import ServerProcess, running

pytestmark = pytest.mark.slow
LIMITS = dataclasses.replace(HASTY, retries=1, first_token=3.0, between_tokens=2.0)
MOST_SECONDS = 2.0  # of processor time
SCENE = Path(__file__).resolve().parents[2] / "assets" / "scene.png"
RAW = re.compile(r"Traceback|[A-Za-z]+Error\b|object is not|has no attribute|NoneType|unexpected")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running() as process:
        yield process


@pytest.fixture
def profile(nodes: Any, server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    import pack.api_core.models.server.model
    import pack.nodes.host

    monkeypatch.setattr(pack.api_core.models.server.model, "Limits", lambda **_: LIMITS)
    monkeypatch.setattr(pack.nodes.host, "settings_folder", lambda: tmp_path)
    assert main(["servers", "add", "liar", server.address, "--folder", str(tmp_path)]) == 0
    return "liar"


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_is_told_in_own_words_or_what_came_is_shown(
    run: Run, server: ServerProcess, profile: str, lie: Lie, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (model,) = run("AttnPromptConnectServer", profile=profile, model="scripted-lvlm").args
    asked = {**ASK, "max_new_tokens": 20}
    server.misbehave(*[lie.fault] * 4)
    began = time.process_time()
    try:
        answer = run("AttnPromptAsk", model=model, image=torch.rand(1, 8, 8, 3), question="what?", **asked).args[0][0]
    except AttentionPromptingError as error:
        said, answer = str(error), ""
        assert said == " ".join(said.split())
        assert len(said) < 800
        assert not RAW.search(said), said
    else:
        answer.encode()
        said = caplog.text
    assert time.process_time() - began < MOST_SECONDS
    assert bool(answer) is bool(lie.answer), said
    assert answer.startswith(lie.answer)
    assert re.search(lie.says, said), said

    server.misbehave(*[lie.fault] * 4)
    capsys.readouterr()
    told = ["--server", profile, "--folder", str(tmp_path), "--server-model", "scripted-lvlm", "--max-new-tokens", "20"]
    code = main(["ask", str(SCENE), "-q", "what?", *told])
    written = capsys.readouterr()
    assert (code == 0) is bool(lie.answer), written.err
    assert re.search(lie.says, written.err), written.err
    assert not RAW.search(written.err), written.err
    assert written.out.startswith(lie.answer)


def test_there_are_thirty_kinds() -> None:
    assert len({lie.name for lie in LIES}) == len(LIES) >= 30
