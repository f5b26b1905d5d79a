"""The double is like the real ComfyUI, and what depends on it is tested on the real one too wherever there is one."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pack.tests import comfy_double
from pack.tests.e2e.server import why_not
from pack.tests.on_host import HOST_VARIABLE, ON_REAL_HOST

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]


def parameters(function: object) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.host
@pytest.mark.skipif(ON_REAL_HOST, reason="this is that run")
def test_what_depends_on_the_host_passes_on_the_real_comfyui_too() -> None:
    """Folders, memory, Stop, progress, schemas. Every node is also run in a real server: tests/e2e."""
    reason = why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN: {reason}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "both_hosts", str(FOLDER)]
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, HOST_VARIABLE: "real"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", result.stdout)[1]) > 50


@pytest.mark.both_hosts
@pytest.mark.skipif(not ON_REAL_HOST, reason="only a real ComfyUI has signatures to compare with")
class TestAgainstTheRealOne:
    @pytest.mark.parametrize("name", comfy_double.WIDGETS)
    def test_inputs(self, nodes: object, name: str) -> None:
        from comfy_api.latest import io

        real = parameters(getattr(io, name).Input.__init__)
        assert set(comfy_double.WIDGETS[name].Input.KEYWORDS) - {"advanced"} <= set(real)

    def test_inputs_that_the_nodes_fold_away_can_be(self, nodes: object, classes: dict) -> None:
        for node in classes.values():
            for given in node.define_schema().inputs:
                if getattr(given, "advanced", None):
                    assert "advanced" in parameters(type(given).__init__)

    def test_everything_else(self, nodes: object) -> None:
        import comfy.model_management
        import comfy.model_patcher
        import comfy.utils
        import folder_paths
        from comfy_api.latest import ComfyExtension, io, ui
        from comfy_execution.graph_utils import ExecutionBlocker
        from server import PromptServer

        management = comfy_double.ModelManagement
        pairs = [
            (comfy_double.Output.__init__, io.Image.Output.__init__),
            (comfy_double.TemplatePrefix.__init__, io.Autogrow.TemplatePrefix.__init__),
            (comfy_double.Option.__init__, io.DynamicCombo.Option.__init__),
            (comfy_double.Schema.__init__, io.Schema.__init__),
            (comfy_double.NodeOutput.__init__, io.NodeOutput.__init__),
            (comfy_double.PreviewImage.__init__, ui.PreviewImage.__init__),
            (comfy_double.ModelPatcher.__init__, comfy.model_patcher.ModelPatcher.__init__),
            (comfy_double.ProgressBar.__init__, comfy.utils.ProgressBar.__init__),
            (comfy_double.ProgressBar.update_absolute, comfy.utils.ProgressBar.update_absolute),
            (comfy_double.ExecutionBlocker.__init__, ExecutionBlocker.__init__),
            *((getattr(management, name), getattr(comfy.model_management, name)) for name in MANAGEMENT),
        ]
        double = comfy_double.make_folder_paths(Path("models"))
        pairs += [(getattr(double, name), getattr(folder_paths, name)) for name in FOLDER_PATHS]
        for ours, real in pairs:
            assert set(parameters(ours)) <= {*parameters(real), "args"}, ours
        assert {key.name: key.value for key in comfy_double.Hidden}.items() <= {
            key.name: key.value for key in io.Hidden
        }.items()
        real_kinds = {kind.name: kind.value for kind in io.ControlAfterGenerate}
        assert {kind.name: kind.value for kind in comfy_double.ControlAfterGenerate}.items() <= real_kinds.items()
        assert parameters(ComfyExtension.on_load) == parameters(comfy_double.ComfyExtension.on_load)
        assert parameters(io.ComfyNode.PREPARE_CLASS_CLONE) == ["v3_data"]
        assert parameters(PromptServer.send_progress_text)[:2] == ["text", "node_id"]
        assert parameters(PromptServer.send_sync) == ["event", "data", "sid"]
        assert issubclass(comfy.model_management.InterruptProcessingException, BaseException)


MANAGEMENT = (
    "load_models_gpu",
    "get_torch_device",
    "text_encoder_offload_device",
    "intermediate_device",
    "intermediate_dtype",
    "should_use_fp16",
    "interrupt_current_processing",
    "throw_exception_if_processing_interrupted",
)
FOLDER_PATHS = ("add_model_folder_path", "get_folder_paths", "get_system_user_directory", "get_temp_directory")


def test_double_refuses_what_comfyui_would_refuse() -> None:
    with pytest.raises(TypeError, match="unexpected"):
        comfy_double.WIDGETS["Int"].Input("count", minimum=3)
