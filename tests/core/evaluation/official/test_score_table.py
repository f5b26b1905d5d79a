"""Intervals by drawing groups anew, for figures of any kind; and how tables look."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.score_table import (
    Metric,
    ScoreTable,
    difference,
    masks_of,
    mean_of,
    score_table,
    to_table,
)
from pack.api_core.evaluation.tables import mean_with_interval


def cases(groups: list[object]) -> list[QuestionCase]:
    return [QuestionCase(str(n), Path("p"), "?", meta={"group": group}) for n, group in enumerate(groups)]


def test_the_interval_of_a_mean_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    groups = [number // 4 for number in range(800)]
    values = (rng.random(200)[np.array(groups)] + rng.random(800) > 1).astype(float)
    table = score_table(cases(groups), [True] * 800, "rule", [Metric("share", mean_of(values))])
    mean, half = mean_with_interval(values, groups)
    assert table["share"].value == pytest.approx(100 * mean)
    assert table["share"].half == pytest.approx(100 * half, rel=0.1)
    alone = score_table(cases(list(range(800))), [True] * 800, "rule", [Metric("share", mean_of(values))])
    assert alone["share"].half < 0.8 * table["share"].half


def test_any_figure_has_an_interval_and_differences_pair_up() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(400)

    def median(weights: np.ndarray) -> float:
        return float(np.median(np.repeat(values, weights.astype(int))))

    def lower(weights: np.ndarray) -> float:
        return median(weights) - 0.1

    some = cases(list(range(400)))
    one, other = (score_table(some, [True] * 400, "r", [Metric("m", of)])["m"] for of in (median, lower))
    assert one.value == pytest.approx(np.median(values))
    assert 0.03 < one.half < 0.12
    more, half = difference(one, other)
    assert more == pytest.approx(0.1)
    assert half == pytest.approx(0, abs=1e-9)


def test_failed_cases_are_left_out_and_counted() -> None:
    right = np.array([1, 1, 0, 0, 1])
    kinds = masks_of(["a", "a", "a", "b", "b"])
    metrics = [Metric(name, mean_of(right), where, right == 0) for name, where in kinds.items()]
    table = score_table(cases([1, 1, 2, 3, 4]), [True, False, True, False, False], "r", metrics)
    first, none = table.rows
    assert (first.value, first.n, first.failed, first.unparsed) == (50, 2, 1, 1)
    assert math.isnan(none.value)
    assert (none.n, none.failed, none.unparsed) == (0, 2, 0)


def test_one_group_has_no_interval_and_a_table_says_what_is_known() -> None:
    table = score_table(
        cases([1, 1]), [True, True], "official", [Metric("share", mean_of(np.array([1, 0])))], ["Mind."]
    )
    assert math.isnan(table["share"].half)
    assert json.loads(json.dumps(table.to_json()))["rows"][0]["half"] is None
    known = score_table(cases(list(range(100))), [True] * 100, "ours", [Metric("share", mean_of(np.arange(100) % 2))])
    text = to_table("A set", {"plain": table + known, "prompted": ScoreTable(())}).to_markdown()
    assert "Mind." in text
    assert "| plain | share | official | 50.0 | 2 | 0 | 0 |" in text
    assert "| plain | share | ours | 50.0 ± " in text
