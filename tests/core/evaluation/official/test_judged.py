"""What a judge's words are worth, and the scores that are made of them."""

import math

import numpy as np
import pytest
from pack.api_core.evaluation.official.rules.judged import (
    FAILED,
    Relative,
    mark_of,
    percent,
    read_mark,
    read_pair,
    relative,
)

UNREADABLE = (" 0.5", "1.1", "-0.1", "nan", "good", "", "0.5.")


@pytest.mark.parametrize(
    ("reply", "mark"),
    [("0.7", 0.7), ("1", 1.0), ("0.5\n", 0.5), ("0.5 as", 0.5), *((bad, None) for bad in UNREADABLE)],
)
def test_a_mark_is_the_first_word(reply: str, mark: float | None) -> None:
    assert read_mark(reply) == mark


def test_the_sixth_reply_is_not_read() -> None:
    assert mark_of(["no"] * 4 + ["0.7"]) == 0.7
    assert mark_of(["no"] * 5 + ["0.7"]) == 0.0
    assert mark_of(["no"]) == 0.0


@pytest.mark.parametrize(
    ("reply", "pair"),
    [
        ("8 9", (8.0, 9.0)),
        ("8,9\nBoth are good.", (8.0, 9.0)),
        ("8.5 9", (8.5, 9.0)),
        ("8, 9", FAILED),
        ("8 9 ", FAILED),
        ("\n8 9", FAILED),
        ("8/10 9/10", FAILED),
        ("8", FAILED),
        ("", FAILED),
    ],
)
def test_two_marks_are_the_first_line(reply: str, pair: tuple[float, float]) -> None:
    assert read_pair(reply) == pair


def score(*pairs: tuple[float, float]) -> Relative:
    return relative(np.array(pairs), np.ones(len(pairs)))


def test_a_score_is_the_ratio_of_the_means() -> None:
    assert score((8.0, 6.0), (10.0, 7.0)) == Relative(72.2, 90.0, 65.0)
    assert relative(np.array([(8.0, 6.0), (10.0, 7.0)]), np.array([0, 2])) == Relative(70.0, 100.0, 70.0)


def test_failures_are_averaged_in_and_alone_are_perfect() -> None:
    assert score(FAILED, FAILED) == Relative(100.0, -10.0, -10.0)
    assert score((9.0, 9.0), FAILED) == Relative(100.0, 40.0, 40.0)
    assert score((9.0, 3.0), FAILED) == Relative(25.0, 40.0, 10.0)
    assert math.isnan(score((1.0, 3.0), FAILED).percent)


def test_the_runs_of_a_judge_have_a_mean_each() -> None:
    marks = np.array([[1.0, 1.0], [0.0, 0.0], [0.5, 1.0]])
    assert percent(marks, np.ones(3)) == pytest.approx([50, 200 / 3])
    assert percent(marks, np.array([2.0, 0.0, 2.0])) == pytest.approx([75, 100])
