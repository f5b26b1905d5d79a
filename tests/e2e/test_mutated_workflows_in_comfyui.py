"""Shipped workflows with a few things wrong, in a real ComfyUI: refused, done, or one line of the pack's own."""

import re
from typing import Any

import psutil
import pytest
from pack.tests.e2e.conftest import TINY, TINY_LVLM
from pack.tests.e2e.server import Server
from pack.tests.fuzz.examples import Refused, run_examples
from pack.tests.fuzz.workflows import mutated, shipped

pytestmark = pytest.mark.host
OWN = re.compile(r"api_core\.errors\.|ExecutionBlocked")
HOST = "graph.DependencyCycleError"
"""What ComfyUI says, before a node is asked, of wires in a circle that its own check let pass."""


def small_models(name: str, prompt: dict[str, Any]) -> dict[str, Any]:
    """The workflow on models of the tests, which have random weights and are quick."""
    here = {"AttnPromptLoadCLIP": TINY, "AttnPromptLoadLVLM": TINY_LVLM}
    for node in prompt.values():
        if node["class_type"] in here:
            node["inputs"]["model"] = here[node["class_type"]]
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = "picture.png"
    return prompt


def test_mutated_workflows(comfyui: Server) -> None:
    prompts = {name: small_models(name, prompt) for name, prompt in shipped().items()}

    def attempt(example: tuple[str, dict[str, Any]]) -> Any:
        run = comfyui.run(example[1])
        if run.ending != "execution_error":
            assert run.ending in ("refused", "execution_success"), run.ending
            return Refused("by ComfyUI") if run.ending == "refused" else None
        failed = example[1].get(run.error["node_id"], {}).get("class_type", "")
        if failed.startswith("AttnPrompt") and run.error["exception_type"] != HOST:
            assert OWN.search(run.error["exception_type"]), f"{run.error['exception_type']}: {run.message}"
            assert len(run.message) < 1000
            assert len(run.message.splitlines()) == 1
        return Refused(f"by {failed}")

    def busy() -> float:
        return sum(psutil.Process(comfyui.process.pid).cpu_times()[:2])

    run_examples(mutated(prompts), 15, attempt, lambda example: [example[0]], clock=busy)
    assert comfyui.process.poll() is None
