"""Scorers, on answers as models give them."""

import pytest
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.scorers.answers import is_right, normalise


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  The Red, star! ", "red star"),
        ("An APPLE", "apple"),
        ("Two", "2"),
        ("3.5 m", "3.5 m"),
        ("ﬁve", "5"),
        ("it's", "it's"),
        ("…", ""),
    ],
)
def test_case_punctuation_articles_and_number_words_do_not_count(text: str, plain: str) -> None:
    assert normalise(text) == plain


@pytest.mark.parametrize(
    ("scorer", "answer", "accepted", "right"),
    [
        ("exact", "Red.", ["red"], True),
        ("exact", "red star", ["red"], False),
        ("exact", "kitten", ["cat", "a kitten"], True),
        ("exact", "", ["red"], False),
        ("contains", "The star is red.", ["red"], True),
        ("contains", "He is bored.", ["red"], False),
        ("contains", "a deep Red Star", ["the red star"], True),
        ("contains", "star, red", ["red star"], False),
        ("contains", "There are two.", ["2"], True),
        ("contains", "", ["red"], False),
        ("contains", "anything", ["..."], False),
        ("yes-no", "Yes, it is.", ["yes"], True),
        ("yes-no", "No. Yes would be wrong.", ["yes"], False),
        ("yes-no", "I think so", ["yes"], False),
        ("yes-no", "nothing", ["no"], False),
        ("auto", "No, there is none.", ["No"], True),
        ("auto", "There is no red one, it is blue.", ["blue"], True),
        ("auto", "no", ["no", "none"], True),
    ],
)
def test_what_counts_as_right(scorer: str, answer: str, accepted: list[str], right: bool) -> None:
    assert is_right(answer, accepted, scorer) is right


def test_without_accepted_answers_nothing_is_judged() -> None:
    assert is_right("red", [], "exact") is None


def test_an_unknown_scorer_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no scorer 'bleu'"):
        is_right("red", ["red"], "bleu")
