"""What the terminal gets of a command that says hundreds of lines, and what the log does."""

import sys
import time
from pathlib import Path

import chromium
import logged
import pytest
from logged import CommandFailed, Reporter, excerpt, run_logged, shown

SAYS = """
print("Collecting torch (from attention-prompting==0.1.0)")
print("  Downloading torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl (899.8 MB)")
for done in range(0, 900, 9): print(f"Progress {done * 10**6} of 899800000")
for i in range(300): print(f"Requirement already satisfied: package{i}")
"""


def test_the_log_has_all_lines_and_the_terminal_a_few(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(logged, "BETWEEN_LINES", 0.1)
    run_logged([sys.executable, "-c", SAYS + "import time; time.sleep(0.5)"], tmp_path / "log")
    text = (tmp_path / "log").read_text()
    assert "package299" in text
    assert "Progress 9" not in text
    told = capsys.readouterr().out
    assert "downloading torch-2.14.1: 891 of 900 MB" in told
    assert "already satisfied" not in told


def test_a_failure_says_why_in_few_lines(tmp_path):
    reason = "print('ERROR: No matching distribution found for torch==99')\nraise SystemExit(1)"
    with pytest.raises(CommandFailed, match="No matching distribution") as failure:
        run_logged([sys.executable, "-c", SAYS + reason], tmp_path / "log")
    assert len(str(failure.value).splitlines()) == 1
    assert "package0" in failure.value.output


def test_a_command_that_hangs_is_ended(tmp_path):
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="stopped after 1 s"):
        run_logged(
            [sys.executable, "-c", "import time; print('hm', flush=True); time.sleep(60)"], tmp_path / "log", timeout=1
        )
    assert time.monotonic() - began < 20


def test_an_excerpt_of_many_lines_keeps_both_ends():
    output = (
        "Collecting torch\n" + "ERROR: Cannot install\n" + "\n".join(f"because {i}" for i in range(50)) + "\nERROR: end"
    )
    lines = excerpt(output).splitlines()
    assert lines[0] == "ERROR: Cannot install"
    assert lines[-1] == "ERROR: end"
    assert len(lines) <= logged.EXCERPT_LINES
    assert excerpt("one\ntwo\n\n[notice] a new pip\n") == "one\ntwo"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Installing collected packages: a, b, c", "installing 3 packages"),
        ("  Using cached torch-2.14.1-cp311-cp311-win_amd64.whl (128.1 MB)", "using cached torch-2.14.1 (128.1 MB)"),
        ("Processing /somewhere/numpy-2.4.6-cp311-cp311-x.whl (from torch)", "processing numpy-2.4.6"),
        ("Collecting torch>=2.4 (from attention-prompting==0.1.0)", "Collecting torch>=2.4"),
    ],
)
def test_what_pip_is_at_is_told_in_a_few_words(line, told, tmp_path):
    reporter = Reporter(tmp_path)
    assert reporter.hear(line)
    assert reporter.at == told == shown(line)


def test_a_browser_is_installed_on_debian_by_root_alone(tmp_path, monkeypatch):
    system = tmp_path / "os-release"
    monkeypatch.setattr(chromium.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 0, raising=False)
    system.write_text("ID=ubuntu\nID_LIKE=debian\n")
    assert "not Debian" in chromium.why_not(system)
    system.write_text('NAME="Debian"\nID=debian\n')
    assert chromium.why_not(system) is None
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 1000, raising=False)
    assert "root" in chromium.why_not(system)
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)
    assert "apt-get" in chromium.why_not(system)


def test_a_browser_that_cannot_be_installed_is_told_of_and_no_error(monkeypatch, capsys):
    def fail(log: Path) -> None:
        raise CommandFailed("E: Unable to locate package chromium")

    monkeypatch.setattr(chromium, "find", lambda: None)
    monkeypatch.setattr(chromium, "why_not", lambda: None)
    monkeypatch.setattr(chromium, "install", fail)
    chromium.main()
    told = capsys.readouterr().out
    assert "SKIPPED" in told
    assert "Unable to locate" in told


def test_the_browser_that_is_looked_for_is_the_one_of_the_tests():
    from pack.tests.e2e.browser import BROWSERS

    assert chromium.BROWSERS == BROWSERS
