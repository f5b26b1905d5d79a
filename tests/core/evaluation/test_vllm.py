"""vLLM serves the embedded model, and `run` gets from it the answers that the model gives here. Not where it is absent:
its packages are several gigabytes and pin their own torch, so it lives in an environment of its own."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pack.api_core.command_line import main
from pack.api_core.models.server import Profile, save_profile
from pack.api_core.pictures import to_pil
from pack.api_core.scenes import draw_scene, make_scene

ROOT = Path(__file__).resolve().parents[3]
VARIABLE = "VLLM_PYTHON"
PYTHON = os.environ.get(VARIABLE, "")
START_SECONDS = 400
SCENES = 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PYTHON, reason=f"{VARIABLE} names no interpreter that has vLLM"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "log"
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(ROOT / "api_core" / "embedded" / "tiny_lvlm"), "--served-model-name", "tiny-lvlm"]
    command += ["--dtype", "float32", "--enforce-eager"]
    variables = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=variables)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(f"http://127.0.0.1:{port}/v1/models"):
            said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
            going = process.poll() is None and time.monotonic() < deadline
            assert going, f"vLLM did not start:\n{said}"
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def test_plain_and_prompted_answers_are_those_of_the_model_here(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "config"))
    cases = tmp_path / "cases.jsonl"
    with cases.open("w", encoding="utf-8") as file:
        for number in range(SCENES):
            drawn = draw_scene(make_scene(number, "development"), 336, 448)
            thing = drawn.scene.objects[0]
            to_pil(drawn.picture).save(tmp_path / f"{number}.png")
            case = {"id": str(number), "picture": f"{number}.png", "question": f"What colour is the {thing.shape}?"}
            file.write(json.dumps(case) + "\n")
    found = {}
    save_profile(Profile("engine", address))
    for name, asked in (
        ("here", ["--lvlm", "tiny-lvlm"]),
        ("engine", ["--server", "engine", "--server-model", "tiny-lvlm", "--at-once", "8"]),
    ):
        out = tmp_path / f"{name}.jsonl"
        assert main(["run", str(cases), "--out", str(out), "--max-new-tokens", "8", *asked]) == 0
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        found[name] = {
            line["id"]: (line["plain"]["answer"], line["prompted"]["answer"]) for line in lines if "id" in line
        }
    assert len(found["here"]) == SCENES
    assert found["engine"] == found["here"]
