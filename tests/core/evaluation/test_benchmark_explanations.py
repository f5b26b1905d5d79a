"""The benchmark of explanations: which answers it takes, what it keeps, and its intervals."""

import re

import pytest
from pack.api_core.evaluation.benchmark.explanations import BASELINES, bootstrap, explanations, tables
from pack.api_core.evaluation.benchmark.splits import EASY, asked_cases
from pack.api_core.models.lvlm.load import load_lvlm


@pytest.fixture(scope="module")
def model():
    return load_lvlm("tiny-lvlm")


@pytest.mark.slow
def test_methods_are_compared_on_the_same_answers(model, tmp_path):
    methods = ("gradient x input", "difference", "random")
    (table,) = explanations(model, questions=4, methods=methods, steps=4, folder=tmp_path)
    assert table.columns[0] == "method"
    assert [row[0] for row in table.rows] == list(methods)
    found = re.match(r"(\d+) answers of 4; left out: (\d+) wrong, (\d+) that need no picture", table.notes[0])
    assert found
    assert sum(map(int, found.groups())) == 4
    assert [row[2] for row in table.rows] == ["1", "0", "0"]
    again = explanations(model, questions=4, methods=methods, steps=4, folder=tmp_path)[0]
    assert again == table, "what was measured is kept, times included"


def test_differences_to_the_published_steps_are_paired():
    cases = asked_cases(EASY, "test", 3)

    def found(seconds, *scores):
        return {"seconds": seconds, "evaluations": 10, "scores": list(scores)}

    records = [
        {"methods": {"igos++ (paper)": found(4, 0.2, 0.1 * i, 0, 0.5), "igos+": found(1, 0.3, 0.1 * i, 1, 0.5)}}
        for i in range(2)
    ] + [{"left out": "wrong"}]
    first, second = tables("T", cases, records, ["igos++ (paper)", "igos+"])
    assert "2 answers of 3; left out: 1 wrong, 0 that need no picture" in first.notes[0]
    assert second.columns == ("method", "speed", *(f"on {name}" for name in BASELINES), "pointing", "energy")
    assert second.rows[0][:3] == ("igos+", "4.0 times", "+10.0 [+10.0, +10.0]")
    assert second.rows[0][3].startswith("+0.0")
    assert second.rows[0][4].startswith("+100.0")


def test_whole_pictures_are_resampled():
    alone = bootstrap([0, 1] * 20, range(40))
    together = bootstrap([0, 1] * 20, [i % 2 for i in range(40)])
    assert alone.startswith("+50.0 [+3")
    assert together == "+50.0 [+0.0, +100.0]", "two pictures are all there is"
