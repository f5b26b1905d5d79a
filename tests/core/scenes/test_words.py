"""Captions and questions say what is true of the drawn scene, in words the vocabulary holds."""

import re
from collections import Counter

import numpy as np
import pytest
from pack.api_core.scenes import COLOURS, SHAPES, SceneOptions, draw_scene, make_scene
from pack.api_core.scenes.captions import CONCEPTS, with_article
from pack.api_core.scenes.questions import (
    NUMBER_WORDS,
    PLAIN,
    QUESTION_KINDS,
    ask,
    facts_from_boxes,
    facts_of,
)
from pack.tools.train.foreign_scenes import draw_foreign_scene
from pack.tools.train.wordings import QUESTION_WORDINGS


def test_concepts_are_all_different_and_mean_the_right_objects():
    assert len(set(CONCEPTS)) == len(CONCEPTS) == 10 * 6 + 10 + 6
    scene = make_scene(5)
    for concept in CONCEPTS:
        for index, item in enumerate(scene.objects):
            wanted = concept.colour in (None, item.colour) and concept.shape in (None, item.shape)
            assert (index in concept.found_in(scene)) == wanted


def test_articles():
    assert with_article("orange star") == "an orange star"
    assert with_article("red star") == "a red star"


def _many_questions():
    rng = np.random.default_rng(3)
    for number in range(400):
        drawn = draw_scene(make_scene(number, "development", SceneOptions(objects=(2, 5))), 96, 96)
        yield from ((drawn, question) for question in ask(drawn, rng))


@pytest.fixture(scope="module")
def questions():
    return list(_many_questions())


def test_all_kinds_are_asked_and_a_seed_repeats_them(questions):
    assert {question.kind for _, question in questions} == set(QUESTION_KINDS)
    assert [question for _, question in _many_questions()] == [question for _, question in questions]


def test_answers_are_true(questions):
    for drawn, question in questions:
        items = drawn.scene.objects
        about = [items[i] for i in question.objects]
        words = re.findall(r"[a-z]+", question.text.lower())
        if question.kind == "colour":
            assert [o.colour for o in items if o.shape == words[-1]] == [question.answer]
        elif question.kind == "shape":
            assert [o.shape for o in items if o.colour == words[-2]] == [question.answer]
        elif question.kind == "exist":
            there = any((o.colour, o.shape) == (words[-2], words[-1]) for o in items)
            assert question.answer == ("yes" if there else "no")
        elif question.kind == "verify":
            there = any((o.shape, o.colour) == (words[-2], words[-1]) for o in items)
            assert question.answer == ("yes" if there else "no")
        elif question.kind == "count":
            assert NUMBER_WORDS.index(question.answer) == len(about)
            assert len(about) == sum(any(word.startswith((o.colour, o.shape)) for word in words) for o in items)
        elif question.kind == "where":
            x, y = about[0].x / drawn.scene.width - 0.5, about[0].y / drawn.scene.height - 0.5
            offset = {"left": -x, "right": x, "top": -y, "bottom": y}
            assert question.answer == max(offset, key=offset.get) or drawn.scene.objects != (about[0],)
            assert offset[question.answer] > 0
        elif question.kind == "relation":
            a, b = ((drawn.boxes[i][:2] + drawn.boxes[i][2:]) / 2 for i in question.objects)
            holds = {"left": a[0] < b[0], "right": a[0] > b[0], "above": a[1] < b[1], "below": a[1] > b[1]}
            said = next(word for word in words if word in holds)
            assert question.answer == ("yes" if holds[said] else "no")
        else:
            areas = [np.prod(drawn.boxes[i][2:] - drawn.boxes[i][:2]) for i in question.objects]
            assert question.answer == ("yes" if (areas[0] > areas[1]) == ("bigger" in words) else "no")


@pytest.mark.parametrize("kind", ["exist", "verify", "relation", "compare"])
def test_yes_and_no_are_balanced(questions, kind):
    answers = Counter(question.answer for _, question in questions if question.kind == kind)
    total = answers["yes"] + answers["no"]
    assert total > 60
    assert abs(answers["yes"] / total - 0.5) < 3 * 0.5 / total**0.5


def test_a_comparison_does_not_follow_the_order_of_naming(questions):
    larger_first = [
        np.prod(drawn.boxes[a][2:] - drawn.boxes[a][:2]) > np.prod(drawn.boxes[b][2:] - drawn.boxes[b][:2])
        for drawn, question in questions
        if question.kind == "compare"
        for a, b in [question.objects]
    ]
    assert 0.35 < np.mean(larger_first) < 0.65


def test_varied_questions_ask_the_same_things_in_other_words():
    wordings: dict[str, set[str]] = {kind: set() for kind in QUESTION_KINDS}
    for number in range(80):
        drawn = draw_scene(make_scene(number, "development", SceneOptions(objects=(2, 4))), 96, 96)
        facts = facts_of(drawn)
        for question in ask(drawn, np.random.default_rng(number), wordings=QUESTION_WORDINGS):
            wordings[question.kind].add(re.sub("|".join((*COLOURS, *SHAPES)), "_", question.text))
            if question.kind == "colour":
                assert {facts.names[i][0] for i in question.objects} == {question.answer}
            elif question.kind == "count":
                assert len(question.objects) == NUMBER_WORDS.index(question.answer)
    assert min(map(len, wordings.values())) >= 5
    assert {kind: texts[:1] for kind, texts in QUESTION_WORDINGS.items()} == PLAIN, "the first of each is the plain one"
    assert not any("{" in text for texts in wordings.values() for text in texts)


def test_the_second_drawing_routine_can_be_asked_about_too():
    scene = draw_foreign_scene(3)
    facts = facts_from_boxes(scene.names, scene.boxes, scene.picture.shape[:2])
    kinds = Counter()
    for seed in range(30):
        for question in ask(facts, np.random.default_rng(seed)):
            kinds[question.kind] += 1
            if question.kind in ("colour", "shape"):
                (index,) = question.objects
                assert question.answer == scene.names[index][question.kind == "shape"]
    assert {"exist", "count"} <= set(kinds)


def test_a_description_names_every_object_from_left_to_right():
    for number in range(20):
        drawn = draw_scene(make_scene(number, "development", SceneOptions(overlap=0.0)), 96, 96)
        (told,) = ask(drawn, np.random.default_rng(0), ("describe",))
        middles = (drawn.boxes[:, 0] + drawn.boxes[:, 2]) / 2
        names = [drawn.scene.objects[i].name for i in np.argsort(middles, kind="stable")]
        assert told.answer.split(" and ") == [with_article(name) for name in names]
        assert told.kind == "describe"
        assert len(told.objects) == len(names)


def test_the_foreign_routine_is_repeatable_and_its_boxes_hold_the_objects():
    scene, again = draw_foreign_scene(11), draw_foreign_scene(11)
    assert np.array_equal(scene.picture, again.picture)
    for number in range(20):
        scene = draw_foreign_scene(number)
        height, width = scene.picture.shape[:2]
        assert 300 <= min(height, width) <= max(height, width) <= 800
        for left, top, right, bottom in scene.boxes:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            middle = scene.picture[int((top + bottom) / 2), int((left + right) / 2)]
            corner = scene.picture[int(top), int(left) - 1]
            assert np.abs(middle - corner).max() > 0.05
