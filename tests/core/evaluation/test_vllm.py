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
from pack.api_core.pictures import to_picture, to_pil
from pack.api_core.scenes import draw_scene, make_scene

ROOT = Path(__file__).resolve().parents[3]
VARIABLE = "VLLM_PYTHON"
PYTHON = os.environ.get(VARIABLE, "")
MODEL = ROOT / "api_core" / "embedded" / "tiny_lvlm"
START_SECONDS = 400
SCENES = 24

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PYTHON, reason=f"{VARIABLE} names no interpreter that has vLLM"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("vllm")
    log, template = folder / "log", folder / "template.jinja"
    # In a chat vLLM leaves out the token that begins a text, unless the template says it.
    own = (MODEL / "chat_template.jinja").read_text(encoding="utf-8")
    template.write_text("{{ bos_token }}" + own, encoding="utf-8")
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(MODEL), "--served-model-name", "tiny-lvlm", "--chat-template", str(template)]
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


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    with (folder / "cases.jsonl").open("w", encoding="utf-8") as file:
        for number in range(SCENES):
            drawn = draw_scene(make_scene(number, "development"), 336, 448)
            thing = drawn.scene.objects[0]
            to_pil(to_picture(drawn.picture)).save(folder / f"{number}.png")
            case = {"id": str(number), "picture": f"{number}.png", "question": f"What colour is the {thing.shape}?"}
            file.write(json.dumps(case) + "\n")
    return folder / "cases.jsonl"


@pytest.mark.parametrize("keep", ["both", "surer"])
def test_answers_and_how_sure_they_are_are_those_of_the_model_here(
    address: str, cases: Path, keep: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "config"))
    save_profile(Profile("engine", address))
    asked = {
        "here": ["--lvlm", "tiny-lvlm"],
        "engine": ["--server", "engine", "--server-model", "tiny-lvlm", "--at-once", "8"],
    }
    answers, sure = {}, {}
    for name, more in asked.items():
        out = tmp_path / f"{name}.jsonl"
        assert main(["run", str(cases), "--out", str(out), "--max-new-tokens", "8", "--keep", keep, *more]) == 0
        lines = [line for line in map(json.loads, out.read_text(encoding="utf-8").splitlines()) if "id" in line]
        found = {(line["id"], arm): line[arm] for line in lines for arm in ("plain", "prompted", "kept") if arm in line}
        answers[name] = {key: one["answer"] for key, one in found.items()}
        sure[name] = {key: one["confidence"] for key, one in found.items() if "confidence" in one}
    assert len({number for number, _ in answers["here"]}) == SCENES
    assert answers["engine"] == answers["here"]
    assert sure["engine"] == pytest.approx(sure["here"], abs=1e-4)
    assert bool(sure["here"]) == (keep == "surer")
