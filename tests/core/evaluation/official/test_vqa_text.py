"""The rules of TextVQA, VQAv2 and VizWiz: what counts as the same answer, and how far a share of ten is right."""

import pytest
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.official.rules.vqa_text import (
    m4c_accuracy,
    m4c_form,
    plain_form,
    vizwiz_accuracy,
    vqa_v2_accuracy,
)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The Dog", "dog"),
        ("none", "0"),
        ("Ten", "10"),
        ("a-b", "b"),
        ("a - b", "b"),
        ("red-blue", "red blue"),
        ("red-blue and red- blue", "redblue and red blue"),
        ("3.5 kg.", "3.5 kg"),
        ("f.c. barcelona", "fc barcelona"),
        ("10:30 $5 50%", "10:30 $5 50%"),
        ("x" + "." * 40, "x" + "." * 8),
        ("line\none\ttwo", "line 1 2"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("wed", "wed"),
        ("", ""),
    ],
)
def test_the_plain_form(text: str, form: str) -> None:
    assert plain_form(text) == form
    assert m4c_form(text) == form


@pytest.mark.parametrize(
    ("text", "plain", "m4c"),
    [
        ("John's", "john's", "john 's"),
        ("somebody'd", "somebodyd", "somebodyd"),
        ("1,000 red-blue", "1000 redblue", "1000 red blue"),
        ("a,b", "b", "ab"),
        ("why?", "why", "why"),
    ],
)
def test_textvqa_has_a_step_of_its_own(text: str, plain: str, m4c: str) -> None:
    assert plain_form(text) == plain
    assert m4c_form(text) == m4c


@pytest.mark.parametrize(("said", "accuracy"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_three_others_make_an_answer_right(said: int, accuracy: float) -> None:
    truths = ["Red"] * said + [f"other {number}" for number in range(10 - said)]
    assert m4c_accuracy("the red.", truths) == pytest.approx(accuracy)
    truths = ["red"] * said + [f"other {number}" for number in range(10 - said)]
    assert vizwiz_accuracy("the red.", truths) == pytest.approx(accuracy)


def test_vqa_v2_takes_texts_as_they_are_where_all_agree() -> None:
    assert vqa_v2_accuracy("the red.", ["the red."] * 10) == 1.0
    assert vqa_v2_accuracy("red", ["the red."] * 10) == 0.0
    assert vqa_v2_accuracy("red", ["the red."] * 9 + ["blue"]) == 1.0


def test_vizwiz_never_touches_the_truth() -> None:
    assert vizwiz_accuracy("red", ["Red"] * 10) == 0.0
    assert vizwiz_accuracy("Red", ["red"] * 10) == 1.0
    assert vizwiz_accuracy("two", ["two"] * 10) == 0.0
    assert vizwiz_accuracy("two", ["2"] * 10) == 1.0


@pytest.mark.parametrize("accuracy", [m4c_accuracy, vqa_v2_accuracy, vizwiz_accuracy])
def test_ten_people_are_asked_for(accuracy) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match="10 people, and there are 2: red, blue"):
        accuracy("red", ["red", "blue"])
