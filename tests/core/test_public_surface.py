"""The names that `api_core` exports: all there, and importing them costs nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pack.api_core as api_core
import pytest

ROOT = Path(__file__).parents[2]


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds `api_core` at the repository's root."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT.parent)


def test_every_public_name_is_there() -> None:
    for name in api_core.__all__:
        assert getattr(api_core, name) is not None
        assert name in dir(api_core)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="blip_api"):
        _ = api_core.blip_api


def test_importing_the_library_imports_nothing_heavy() -> None:
    heavy = ("torch", "PIL", "numpy", "transformers", "open_clip", "huggingface_hub")
    done = run(f"import api_core; loaded = [m for m in {heavy!r} if m in sys.modules]; assert not loaded, loaded")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_using_it_imports_no_model_library() -> None:
    heavy = ("transformers", "open_clip", "huggingface_hub", "timm")
    done = run(
        "from api_core import ask, clip_api, clip_heatmap, load_clip, overlay, prompt_picture, tune\n"
        "from api_core import connect, draw_curves, explain, llava_api, load_lvlm, lvlm_heatmap\n"
        f"loaded = [m for m in {heavy!r} if m in sys.modules]; assert not loaded, loaded"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_package_s_line_of_import_works() -> None:
    done = run("from api_core import clip_api, llava_api; print(clip_api.__module__, llava_api.__module__)")
    assert done.stdout.split() == ["api_core.prompting.published"] * 2, done.stderr
