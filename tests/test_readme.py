"""What the README shows exists and runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_python_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    assert "ask(" in code
    # Run elsewhere, so that what it saves is not left in the repository.
    shutil.copytree(ROOT / "assets", tmp_path / "assets")
    script = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "prompted.png").stat().st_size > 10_000
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert done.stdout.split()[:3] == ["yellow", "yellow", "True"]


def test_its_pictures_and_make_targets_exist() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures
    assert not [picture for picture in pictures if not (ROOT / picture).is_file()]
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= set(targets)
    assert not [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)]


def test_every_node_and_method_has_its_row() -> None:
    from pack.api_core.answering import DECODINGS
    from pack.api_core.attribution import list_lvlm_methods, list_methods
    from pack.api_core.explanation.methods import METHODS

    names = re.findall(r'display_name="([^"]+)",\s*category', "".join(p.read_text("utf-8") for p in nodes()))
    assert len(names) >= 8
    shown = {re.sub(r" \(.*\)$", "", name) for name in names}
    assert not [name for name in shown if f"**{name}**" not in README]
    assert not [method for method in (*list_methods(), *list_lvlm_methods(), *METHODS) if f"`{method}`" not in README]
    calibrated = [kind.name for kind in DECODINGS if kind.name not in ("greedy", "sample")]
    assert not [name for name in calibrated if f"`{name}`" not in README]


def nodes() -> list[Path]:
    return sorted((ROOT / "nodes").glob("*.py"))
