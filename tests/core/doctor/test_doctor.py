"""What doctor says of this machine, of a bare one, and of a device that computes wrongly."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.command_line import main
from pack.api_core.doctor import acceptance, checks, machine
from pack.api_core.errors import InvalidInput
from pack.api_core.models import random_models

ROOT = Path(__file__).resolve().parents[3]


def facts(**given: Any) -> dict[str, str]:
    return {fact.topic: fact.text for fact in machine.machine_facts(**given)}


def test_it_says_what_an_issue_needs(tmp_path: Path):
    found = facts(folders={"clip_vision": [tmp_path, tmp_path / "nowhere"]})
    assert torch.__version__ in found["torch"]
    assert "transformers" in found["Packages"]
    assert "tiny-clip (embedded)" in found["Models here"]
    assert "nowhere (absent)" in found["Folders of clip_vision"]


def test_it_tells_no_key_no_name_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "anna")
    monkeypatch.setattr(machine.getpass, "getuser", lambda: "anna")
    monkeypatch.setenv("SECRET_KEY", "sk-of-mine")
    profiles = {
        "work": {"address": "https://models.my-company.example/v1", "key_variable": "SECRET_KEY", "key": ""},
        "hidden": {"address": "https://other.example/v1", "key_variable": "", "key": "sk-stored"},
    }
    (tmp_path / "servers.json").write_text(json.dumps({"version": 1, "profiles": profiles}), encoding="utf-8")
    (tmp_path / "servers.json").chmod(0o600)
    (tmp_path / "data" / "anna").mkdir(parents=True)
    found = facts(folders={"LLM": [tmp_path / "anna" / "models", tmp_path / "data" / "anna"]}, profiles=tmp_path)
    whole = "\n".join(found.values())
    for private in ("anna", "sk-", "my-company", "other.example", "SECRET_KEY"):
        assert private not in whole
    assert "2 on other machines, not asked" in found["Servers"]


def test_only_the_home_folder_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    home = tmp_path / "anna"
    monkeypatch.setattr(machine.getpass, "getuser", lambda: "nobody")
    monkeypatch.setattr(Path, "home", lambda: home)
    assert machine.without_names(f"{home / 'x'}, {home}bel") == f"{Path('~') / 'x'}, {home}bel"
    monkeypatch.setattr(Path, "home", lambda: Path(tmp_path.anchor))  # of a container's user without an entry
    assert machine.without_names(str(home)) == str(home)

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    assert machine.without_names(str(home)) == str(home)


def test_what_cannot_be_told_is_told_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def broken(index: int) -> Any:
        raise RuntimeError("CUDA error: the driver is too old")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", broken)
    monkeypatch.setattr(Path, "is_dir", lambda path: False)  # as of a cache on a disk that is not there
    found = facts(folders={"LLM": [tmp_path]})
    assert found["torch"] == "cannot be looked for: RuntimeError: CUDA error: the driver is too old"
    assert "whose disk is not there" in found["Hub cache"]
    assert "tiny-clip (embedded)" in found["Models here"]


def test_a_server_of_this_machine_that_listens_answers(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        main(["servers", "add", "mine", address, "--folder", str(tmp_path)])
        assert "mine answers" in facts(profiles=tmp_path)["Servers"]
    assert "mine does not answer" in facts(profiles=tmp_path)["Servers"]


def test_the_embedded_models_are_right_in_every_precision_of_this_device():
    rows = list(checks.check_embedded("cpu"))
    assert len(rows) == 6
    assert [row for row in rows if not row.ok] == []


def test_a_device_that_computes_wrongly_is_found(monkeypatch: pytest.MonkeyPatch):
    right = checks._maps

    def wrong(precision: str, device: str) -> dict[str, Any]:
        found = right(precision, device)
        if precision == "bf16":
            found |= {"CLIP map": -found["CLIP map"], "answer": "green"}
        return found

    monkeypatch.setattr(checks, "_maps", wrong)
    bad = [row.what for row in checks.check_embedded("cpu") if not row.ok]
    assert bad == ["CLIP map, cpu bf16", "Answer, cpu bf16"]


def test_what_fails_on_a_machine_becomes_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    right = checks._maps

    def fails(precision: str, device: str) -> dict[str, Any]:
        if precision == "bf16":
            raise RuntimeError("no kernel for this device")
        return right(precision, device)

    monkeypatch.setattr(checks, "_maps", fails)
    assert main(["doctor", "--device", "cpu"]) == 1
    said = capsys.readouterr().out
    assert "BAD cpu bf16: RuntimeError: no kernel for this device" in said
    assert "1 of 4 checks failed." in said


def test_embedded_models_that_fail_everywhere_are_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fails(precision: str, device: str) -> dict[str, Any]:
        raise ImportError("cannot import name 'Cache' from 'transformers'")

    monkeypatch.setattr(checks, "_maps", fails)
    assert main(["doctor", "--device", "cpu"]) == 1
    said = capsys.readouterr().out
    assert "BAD Embedded models, cpu fp32: ImportError: cannot import name 'Cache'" in said


def test_without_any_package_it_still_says_what_is_missing():
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from api_core.command_line import main; sys.exit(main())"
    command = [sys.executable, "-S", "-c", script, str(ROOT), "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "torch: cannot be imported: No module named 'torch'" in done.stdout
    assert "Packages: torch absent" in done.stdout
    assert "pip install -r requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_models_belong_to_the_acceptance_run(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "tiny-clip"]) == 2
    assert "add --full" in capsys.readouterr().err


def test_the_acceptance_run_on_the_embedded_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Costs are looked at once and may be anything: tests time nothing."""
    monkeypatch.setattr(acceptance, "ROUNDS", 1)
    monkeypatch.setattr(acceptance, "TOKENS", 4)
    monkeypatch.setattr(acceptance, "COST_BOUNDS", dict.fromkeys(acceptance.COST_BOUNDS, 100.0))
    file = tmp_path / "found.json"
    assert main(["doctor", "tiny-clip", "tiny-lvlm", "--full", "--device", "cpu", "--json", str(file)]) == 0
    rows = {row["what"]: row for row in json.loads(file.read_text(encoding="utf-8"))["checks"]}
    for what in ("ask, explain, ask", "map in a second pass", "map / generating", "AvisC / plain", "given back"):
        assert rows[f"tiny-lvlm: {what}"]["ok"] is True
    assert rows["tiny-clip: map / encoding"]["ok"] is True


def test_a_model_that_is_not_here_becomes_a_line():
    rows = {row.what: row for row in acceptance.accept(["ViT-L-14-336/openai"], device="cpu")}
    assert rows["ViT-L-14-336/openai"].ok is False
    assert "allow_download" in rows["ViT-L-14-336/openai"].seen or "download" in rows["ViT-L-14-336/openai"].seen


def test_it_ends_in_time():
    rows = list(acceptance.accept(["tiny-clip"], device="cpu", clock=acceptance.Clock(seconds=0.0)))
    assert rows[-1].seen.startswith("left out")


def test_random_models_have_the_sizes_they_are_called_by():
    model = random_models.random_lvlm("tiny", "cpu", torch.float32)
    assert model.depth == random_models.SHAPES["tiny"]["num_hidden_layers"]


def test_an_unknown_device_is_refused():
    with pytest.raises(InvalidInput):
        list(checks.check_embedded("gpu"))
