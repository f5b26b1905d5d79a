"""Compare Answers: lists go together answer by answer, and what the page gets says which words differ."""

from typing import Any

import pytest
from pack.api_core.errors import InvalidInput
from pack.tests.on_host import Run

NODE = "AttnPromptCompareAnswers"


def answers(*texts: list[str]) -> dict[str, Any]:
    return {f"answer{number}": text for number, text in enumerate(texts)}


@pytest.mark.both_hosts
def test_answers_are_compared_under_their_names(run: Run) -> None:
    result = run(NODE, names="plain, prompted", answers=answers(["It is red."], ["It is blue."]))
    assert result.args[0] == ["plain: It is [red].\n\nprompted: It is [blue]."]
    assert result.ui["text"] == result.args[0]
    (entry,) = result.ui["attention_prompting"]
    assert entry["comparison"]["names"] == ["plain", "prompted"]
    first, second = entry["comparison"]["cases"][0]
    assert first == [["It is ", False], ["red", True], [".", False]]
    assert second == [["It is ", False], ["blue", True], [".", False]]


def test_a_batch_goes_case_by_case_and_one_answer_serves_all(run: Run) -> None:
    texts = answers(["one", "two", "three"], ["one", "2", "three"], ["one"])
    (found,) = run(NODE, names="", answers=texts).args
    assert found[0].startswith("The answers are the same.")
    assert found[1:] == [
        "answer 1: [two]\n\nanswer 2: [2]\n\nanswer 3: [one]",
        "answer 1: [three]\n\nanswer 2: three\n\nanswer 3: [one]",
    ]


def test_names_that_are_missing_are_numbered(run: Run) -> None:
    result = run(NODE, names="plain", answers=answers(["a"], ["b"]))
    assert result.ui["attention_prompting"][0]["comparison"]["names"] == ["plain", "answer 2"]


def test_lists_of_other_lengths_are_refused(run: Run) -> None:
    with pytest.raises(InvalidInput, match="2 of answer 1, 3 of answer 2"):
        run(NODE, names="", answers=answers(["a", "b"], ["a", "b", "c"]))


def test_a_single_answer_is_refused(run: Run) -> None:
    with pytest.raises(InvalidInput, match="nothing to be compared with"):
        run(NODE, names="", answers=answers(["a"]))
