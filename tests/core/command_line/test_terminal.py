"""The progress bar and the one line of an error."""

import io

import pytest
from pack.api_core.command_line.terminal import ProgressBar, one_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(written: str) -> str:
    """What a terminal shows of `written`: a carriage return goes back, later characters replace earlier ones."""
    lines = [""]
    column = 0
    for character in written:
        if character == "\n":
            lines.append("")
            column = 0
        elif character == "\r":
            column = 0
        else:
            lines[-1] = lines[-1][:column] + character + lines[-1][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines)


def test_the_bar_counts_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with ProgressBar("prompting") as bar:
        bar(1, 4)
        assert "prompting [######..................] 25 %" in on_screen(terminal.getvalue())
        bar.note("warning: something")
        bar(4, 4)
        assert on_screen(terminal.getvalue()).startswith(
            "warning: something\nprompting [########################] 100 %"
        )
    assert on_screen(terminal.getvalue()) == "warning: something\n"


def test_no_bar_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("prompting") as bar:
        bar(1, 2)
        bar.note("a line")
    assert capsys.readouterr().err == "a line\n"


def test_nothing_to_do_draws_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    ProgressBar("downloading")(0, 0)
    assert terminal.getvalue() == ""


def test_an_error_is_one_line() -> None:
    assert one_line(ValueError("first\n  second")) == "first second"
    assert one_line(ValueError()) == "ValueError"
