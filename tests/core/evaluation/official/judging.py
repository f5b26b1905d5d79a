"""A judge that says what it is told to, and checkouts of the official repositories with prompts of our own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.command_line import main
from pack.tests.servers.process import ServerProcess, running

KEY = "sk-judge-0f1e2d3c4b5a69788796a5b4c3d2e1f0"
VARIABLE = "AP_TEST_JUDGE_KEY"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running(key=KEY) as process:
        yield process


@pytest.fixture
def profiles(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a profile `judge`, whose key is in a variable."""
    monkeypatch.setenv(VARIABLE, KEY)
    folder = tmp_path / "profiles"
    added = ["servers", "add", "judge", server.address, "--key-variable", VARIABLE, "--folder", str(folder)]
    assert main(added) == 0
    return folder


def judge(results: Path, out: Path, checkout: Path, profiles: Path, *options: str) -> int:
    """Judge one after the other, so that the server's script is used up in the order of the answers."""
    command = ["judge", str(results), "--cases", str(results.with_name("cases.jsonl")), "--official", str(checkout)]
    command += ["--judge", "judge:scripted-lvlm", "--folder", str(profiles), "--out", str(out), "--at-once", "1"]
    return main([*command, *options])


def says(*replies: str) -> list[dict[str, str]]:
    """A script of the server's."""
    return [{"kind": "none", "text": reply} for reply in replies]


def verdicts_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def mm_vet_checkout(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "mm-vet_evaluator.py").write_text(
        'import nothing_that_is_installed\n\nprompt = """Mark it.\nQ | T | P | M\n"""\n\n'
        'def ask(prompt=prompt):\n    print("\\n")\n    text = f"\\nnot {prompt}"\n'
        '    return prompt + "\\nOnly the mark: "\n',
        encoding="utf-8",
    )
    return folder


def llava_checkout(folder: Path) -> Path:
    (folder / "llava" / "eval" / "table").mkdir(parents=True)
    rules: dict[str, Any] = {"math": {"role": "Assistant", "prompt": "Count."}}
    rules |= {
        f"llava_bench_{kind}": {"role": "Helper", "prompt": f"Compare {kind}."}
        for kind in ("complex", "conv", "detail")
    }
    (folder / "llava" / "eval" / "table" / "rule.json").write_text(json.dumps(rules), encoding="utf-8")
    (folder / "llava" / "eval" / "eval_gpt_review_bench.py").write_text(
        "import nothing_that_is_installed\n\ndef ask(content):\n"
        "    return [{'role': 'system', 'content': 'Be fair.'}, {'role': 'user', 'content': content}]\n",
        encoding="utf-8",
    )
    return folder
