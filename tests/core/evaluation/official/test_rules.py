"""How answers are read: each official rule with its faults, and ours."""

import pytest
from pack.api_core.evaluation.official.rules import letters, yes_no


@pytest.mark.parametrize(
    ("text", "mme", "pope", "avisc", "ours"),
    [
        ("Yes", "yes", "yes", "yes", "yes"),
        ("no.", "no", "no", "no", "no"),
        ("NO", "no", "yes", "no", "no"),
        ("Nope", "no", "yes", "yes", ""),
        ("I know it", "", "yes", "yes", ""),
        ("know", "no", "yes", "yes", ""),
        ("noyes", "no", "yes", "yes", ""),
        ("There is no dog", "", "no", "no", "no"),
        ("There isn't a dog", "", "yes", "no", ""),
        ("Not at all", "no", "yes", "yes", ""),
        ("No, there is", "no", "no", "no", "no"),
        ("It is there. No doubt", "", "yes", "no", "no"),
        ("**Yes**", "", "yes", "yes", "yes"),
        ("", "", "yes", "yes", ""),
        ("\nyes", "yes", "yes", "yes", "yes"),
    ],
)
def test_yes_or_no(text: str, mme: str, pope: str, avisc: str, ours: str) -> None:
    rules = (yes_no.first_four, yes_no.pope, yes_no.avisc, yes_no.first_word)
    assert tuple(rule(text) for rule in rules) == (mme, pope, avisc, ours)


@pytest.mark.parametrize(
    ("text", "mmstar", "mmvp", "cambrian", "ours"),
    [
        ("B", "B", "B", "B", "B"),
        ("(b)", "B", "B", "B", "B"),
        ("b) a dog", "B", "", "B", "B"),
        ("B. a dog", "B", "", "B", "B"),
        ("Apple", "A", "", "A", ""),
        ("Option C", "C", "", "", "C"),
        ("The answer is C", "C", "C", "C", "C"),
        ("So the answer is: (D).", "", "", "", "D"),
        ("Answer: (D).", "A", "D", "D", "D"),
        ("the answer is a dog", "A", "B", "A", "B"),  # option B is "a dog"
        ("A dog.", "A", "B", "A", "B"),
        ("It must be a dog, by the ears", "", "", "", "B"),
        ("It is either (A) or (B)", "", "", "", ""),
        ("I think C", "", "", "", "C"),
        ("A cat is no dog; it is D", "A", "", "A", "D"),
        ("The answer is (I think) D", "", "", "", "D"),
        ("E", "", "", "", ""),
        ("", "", "", "", ""),
    ],
)
def test_letters(text: str, mmstar: str, mmvp: str, cambrian: str, ours: str) -> None:
    options = ["A cat", "A dog", "a cow", "some sheep"]
    found = letters.mmstar(text, 4), letters.cambrian_mmvp(text, options), letters.cambrian(text, 4)
    assert (*found, letters.ours(text, options)) == (mmstar, mmvp, cambrian, ours)
