"""The proof itself, in a process of its own, on packages that break in the ways in which real ones do."""

import sys
from pathlib import Path

import proof
import pytest

WORKING = {
    "torch/__init__.py": """
        class _Sum:
            def __init__(self, *shape): pass
            def matmul(self, other): return self
            def sum(self): return 8
        ones = tensor = zeros = _Sum
        class nn:
            class Module: pass
    """,
    "torchvision/__init__.py": "",
    "torchvision/ops.py": "def nms(*a): return [0]",
    "torchaudio/__init__.py": "",
    "torchaudio/functional.py": """
        class _Wave: shape = (1, 8)
        def resample(*a): return _Wave
    """,
    "open_clip/__init__.py": "def list_models(): return ['x']",
    "transformers/__init__.py": """
        import torch
        class LlavaForConditionalGeneration(torch.nn.Module): pass
        class LlavaProcessor:
            def from_pretrained(*a): pass
    """,
}
BREAKS = [
    ("torchaudio/__init__.py", "raise OSError('libtorchaudio.so: undefined symbol: torch_x')", "undefined symbol"),
    (
        "torchaudio/__init__.py",
        "try: raise OSError('lib.so: undefined symbol: torch_y')\nexcept OSError as e: raise OSError('no lib') from e",
        "undefined symbol: torch_y",
    ),
    ("torchvision/ops.py", "def nms(*a): raise RuntimeError('operator torchvision::nms does not exist')", "nms"),
    ("torch/__init__.py", "import os; os._exit(139)", "ended with 139"),
    ("transformers/__init__.py", "", "cannot import name 'LlavaForConditionalGeneration'"),
    ("open_clip/__init__.py", "import a_module_that_is_not_there", "a_module_that_is_not_there"),
]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, code in WORKING.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def write(file: Path, code: str) -> None:
    lines = code.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    file.write_text("\n".join(line[indent:] for line in lines))


def test_what_works_is_proven(packages):
    assert proof.prove(Path(sys.executable), audio=True) is None


@pytest.mark.parametrize(("file", "code", "why"), BREAKS)
def test_what_does_not_load_is_named_with_its_own_words(packages, file, code, why):
    write(packages / file, code)
    unproven = proof.prove(Path(sys.executable), audio=False)
    assert unproven.module == file.split("/")[0]
    assert why in unproven.why
    assert "\n" not in unproven.why


def test_a_python_that_does_not_start_proves_nothing(tmp_path):
    assert proof.prove(tmp_path / "python", audio=False).module == "Python"


@pytest.mark.parametrize("needed", [True, False])
def test_torchaudio_is_asked_for_where_it_is_needed_or_there(monkeypatch, needed):
    """Where it is there, transformers loads it."""
    asked = []
    monkeypatch.setattr(proof, "use", asked.append)
    monkeypatch.setattr(sys, "argv", ["proof.py", *(["--audio"] if needed else [])])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(proof.importlib.util, "find_spec", lambda name: None)
    proof.main()
    assert ("torchaudio" in asked) is needed
    monkeypatch.setattr(proof.importlib.util, "find_spec", lambda name: object())
    proof.main()
    assert asked[-5:] == list(proof.DISTRIBUTIONS)
