"""The long run says how it can be repeated."""

from pack.tests.fuzz.examples import MANY, SEED


def pytest_report_header() -> list[str]:
    return [f"fuzz: {MANY} examples of each kind, seed {SEED}"] if MANY else []
