"""The long run says how it can be repeated, and what became of its examples."""

from typing import Any

from pack.tests.fuzz.examples import MANY, SEED, TOLD


def pytest_report_header() -> list[str]:
    return [f"fuzz: {MANY} examples of each kind, seed {SEED}"] if MANY else []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in TOLD:
        terminalreporter.write_line(line)
