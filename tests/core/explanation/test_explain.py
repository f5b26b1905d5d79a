"""Explaining a real answer: the embedded model's, on a drawn scene."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.scorers.localisation import score_map
from pack.api_core.explanation.explain import explain
from pack.api_core.explanation.explain_one import PART
from pack.api_core.explanation.methods import list_explanation_methods
from pack.api_core.explanation.word_evidence import Evidence, is_stop_word
from pack.api_core.geometry import place
from pack.api_core.models.conversation.token_text import word_spans
from pack.api_core.models.lvlm.load import load_lvlm

QUESTION = "What colour is the star?"


@pytest.fixture(scope="module")
def model():
    return load_lvlm("tiny-lvlm")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["igos++", "igos+"])
def test_the_map_is_on_what_was_asked_about(model, drawn, picture, method):
    (found,) = explain(model, [picture], QUESTION, method=method)
    assert found.reply.text.casefold() == "red"
    assert found.depends_on_the_picture
    view = found.map.parts[PART][0]
    heat = place(view.values, view.box, found.map.size, "bilinear")[0].numpy()
    score = score_map(heat, np.asarray(drawn.boxes), 0)
    assert score.first == 1
    assert heat[24:44, 22:42].mean() > 3 * heat.mean()
    assert found.faithful["blur"].gap > 0.1
    assert found.faithful["mean colour"].depends_on_the_picture
    told = json.loads(json.dumps(found.report()))
    assert told["words"][0]["explained"]


# The paper's own steps are compared with the released program elsewhere; here they would be hundreds of gradients each.
QUICK = [method for method in list_explanation_methods() if "paper" not in method]
SLOW = ("igos+", "igos++", "rise")


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in QUICK]
)
def test_every_method_gives_a_map_and_the_same_one_again(model, picture, method):
    one, other = (explain(model, [picture], QUESTION, answers="red", method=method, steps=0, seed=4)[0] for _ in "ab")
    values = one.map.parts[PART][0].values
    assert values.isfinite().all()
    assert values.std() > 0
    assert torch.equal(values, other.map.parts[PART][0].values)


def test_inside_inference_mode(model, picture):
    with torch.inference_mode():
        (found,) = explain(model, [picture.clone()], QUESTION, method="gradient x input", steps=4)
    assert found.map.parts[PART][0].values.std() > 0


def test_an_answer_that_needs_no_picture_is_said_to_need_none(model):
    plain = torch.full((112, 112, 3), 0.5)
    (found,) = explain(model, [plain], QUESTION, answers="red")
    assert not found.depends_on_the_picture
    assert "without the picture" in found.map.warnings[0]
    assert not found.map.parts[PART][0].values.any()
    assert not found.faithful


@pytest.mark.slow
def test_words_that_name_nothing_depend_on_the_picture_all_the_same(model, picture):
    (found,) = explain(model, [picture], QUESTION, answers="red", steps=0)
    (word,) = found.evidence.words
    article = replace(word, text="the", kept=False, why="names nothing")
    nothing = replace(found, evidence=Evidence((article,), ()))
    assert nothing.depends_on_the_picture
    assert "name nothing in it" in nothing.why_not
    assert nothing.report()["depends on the picture"] is True


@pytest.mark.parametrize(
    "answer", ["the cross is red", "La cruz es roja", "La croix est rouge", "十字是红", "Крест и он"]
)
def test_some_words_name_nothing_in_any_language(answer):
    words = [answer[first:last] for first, last in word_spans(answer)]
    named = [word for word in words if not is_stop_word(word)]
    assert named
    assert set(named) < set(words)


@pytest.mark.parametrize(
    "answer", ["no", "yes", "red", "left", "two", "dos", "sur", "car", "die", "B", "e", "si", "one"]
)
def test_what_may_be_an_answer_names_something(answer):
    assert not is_stop_word(answer)


@pytest.mark.slow
def test_chosen_words_are_explained_in_any_case(model, picture):
    (found,) = explain(model, [picture], QUESTION, answers="red", words=["RED"], steps=0)
    assert [word.kept for word in found.evidence.words] == [True]
    with pytest.raises(InvalidInput, match="'red'"):
        explain(model, [picture], QUESTION, answers="red", words=["purple"])
