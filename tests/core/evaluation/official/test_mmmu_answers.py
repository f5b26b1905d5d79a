"""How MMMU's answers are read."""

import pytest
from pack.api_core.evaluation.official.rules.mmmu_answers import is_open_right, read_letter, read_open

OPTIONS = {"A": "apple pie", "B": "Red", "C": "blue cat", "D": "$1,000"}


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("(B)", "B"),
        ("A or B", "B"),
        ("(A), though B is near", "A"),
        ("(A) no, (C), no, (A)", "A"),
        ("B.,", "B"),
        ("B,.", None),  # a comma is taken off before full stops are, and not again
        ("b", None),
        ("B:C", None),
        ("red", None),
        ("I think that it must be RED here", "B"),
        ("first the blue cat, then an Apple Pie", "A"),
        ("It is Apple pie", None),
        ("", None),
    ],
)
def test_a_letter(answer: str, letter: str | None) -> None:
    assert read_letter(answer, OPTIONS) == letter


def test_an_option_without_text_is_in_every_long_answer() -> None:
    assert read_letter("one two three four five six", {"A": "four", "B": ""}) == "B"


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        ("Red", {"red"}),
        ("x", {" x", "x "}),
        ("1,000.", {1000.0}),
        ("The result is 3.14159", {3.14}),
        ("x = 5 so y = 1e3", {1000.0}),
        ("so x = 5", {5.0}),
        ("so x = 5\nno more", {"x = 5", 5.0}),
        ("thus 12 or 1,300", {"12 or 1,300", 12.0, 1300.0}),
        ("it is .", {"it is"}),
        ("", {""}),
    ],
)
def test_what_an_open_answer_says(answer: str, values: set[str | float]) -> None:
    found = set(read_open(answer))
    assert values <= found, found


def test_an_open_answer_is_right_by_text_or_number() -> None:
    assert is_open_right("The colour is dark red.", ["red"])
    assert is_open_right("about $1,000.004 so it is 1,000.001", ["1000"])
    assert is_open_right("either", ["neither", "her"])  # as a part of a word too
    assert not is_open_right("x", ["y"])
    assert not is_open_right("ax", ["x"])
    assert is_open_right("a x", ["x"])
