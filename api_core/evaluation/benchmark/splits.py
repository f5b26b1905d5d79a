"""What the benchmark asks: scenes by number, and questions whose answers and objects are known.

Scenes come from the stream "development" where something is chosen, and from "test", with backgrounds of its own, where
it is reported. A scene with a thing too hidden to be asked about is left out and the next number taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as count_from
from itertools import islice

import numpy as np

from ...scenes import DrawnScene, SceneOptions, make_scene
from ...scenes.captions import CONCEPTS, with_article
from ...scenes.questions import QUESTION_KINDS, ask
from ...scenes.world import COLOURS, SHAPES, stream_generator
from ..cases import Box, QuestionCase, SceneReference

ONE_OBJECT = ("colour", "shape", "verify", "where")
"""Kinds of question that speak of one object, which another may be mistaken for."""

_ASKING = 8  # the purpose of the random numbers that choose the questions of a scene
_LEAST_BOX = 0.03
PAIRS = tuple(concept for concept in CONCEPTS if concept.colour and concept.shape)


@dataclass(frozen=True)
class Split:
    """What is drawn and what is asked. sides: the root of the picture's area in pixels, taken in turn."""

    name: str
    options: SceneOptions
    sides: tuple[int, ...] = (112,)
    kinds: tuple[str, ...] = QUESTION_KINDS


EASY = Split("easy", SceneOptions(objects=(2, 4), radius=(0.09, 0.2), square_share=1.0, alike=0.5, overlap=0.0))
"""Like the scenes the embedded models were trained on."""

HARD = Split(
    "hard",
    SceneOptions(
        objects=(6, 8), radius=(0.03, 0.05), square_share=0.0, aspects=(3.0, 1 / 3), alike=0.9, overlap=0.0, clutter=14
    ),
    sides=(280,),
    kinds=("colour", "verify", "where"),
)
"""Small things in long pictures, among many that share their colour or their shape, with clutter between.

The embedded LVLM is shown a picture squeezed to a square and no longer tells these things apart; the CLIP looks at it
in several squares. Asked is what is easy to say of a thing once it is found: a shape too small to be made out is not
made larger by fading the rest.
"""

ALIKE = Split(
    "alike",
    SceneOptions(objects=(5, 7), radius=(0.07, 0.12), square_share=1.0, alike=1.0, overlap=0.0, clutter=8),
    kinds=ONE_OBJECT,
)
"""Square pictures at the size that the model sees, of things that share their colours and shapes: more pixels show
nothing new here, so that what a map gains it does not gain by them."""

LOCALISATION = Split("localisation", SceneOptions(objects=(3, 5)), sides=(128, 224, 320, 448), kinds=ONE_OBJECT)
"""Any aspect and several sizes, 3 to 5 objects."""


def asked_cases(split: Split, stream: str, questions: int) -> list[QuestionCase]:
    """The first `questions` questions about the scenes of `stream`, one of each kind a scene allows."""
    return list(islice(_asked(split, stream), questions))


def _asked(split: Split, stream: str) -> Iterator[QuestionCase]:
    for scene, drawn in drawn_scenes(split, stream):
        rng = stream_generator(stream, scene.number, _ASKING)
        for question in ask(drawn, rng, split.kinds):
            name = f"{split.name} {stream} {scene.number} {question.kind}"
            answers, boxes = (question.answer,), boxes_of(drawn, question.objects)
            yield QuestionCase(name, scene, question.text, answers, *boxes, question.kind, scorer="exact")


def named_cases(split: Split, stream: str, scenes: int) -> list[QuestionCase]:
    """Every object of the first `scenes` scenes that colour and shape tell from all others, as "a red star"."""
    cases: list[QuestionCase] = []
    for scene, drawn in islice(drawn_scenes(split, stream), scenes):
        for concept in PAIRS:
            found = concept.found_in(drawn.scene)
            if len(found) == 1:
                text = with_article(concept.phrase)
                name = f"{split.name} {stream} {scene.number} {concept.phrase}"
                cases.append(QuestionCase(name, scene, text, (), *boxes_of(drawn, found), "name"))
    return cases


def majority_answer(case: QuestionCase) -> str:
    """What somebody answers who sees what there is but not which is which: the first baseline a model has to beat.

    The most common colour or shape of the picture; to "is the star red?" that some thing is red.
    """
    if not isinstance(case.picture, SceneReference):
        return ""
    items = make_scene(case.picture.number, case.picture.stream, case.picture.options).objects
    colours, shapes = [o.colour for o in items], [o.shape for o in items]
    if case.kind == "colour":
        return max(COLOURS, key=colours.count)
    if case.kind == "shape":
        return max(SHAPES, key=shapes.count)
    if case.kind == "verify":
        return "yes" if any(colour in case.question for colour in colours) else "no"
    return ""


def drawn_scenes(split: Split, stream: str) -> Iterator[tuple[SceneReference, DrawnScene]]:
    """The scenes of a stream that a split takes, without end."""
    low = split.options.objects[0]
    for number in count_from():
        side = split.sides[number % len(split.sides)]
        scene = make_scene(number, stream, split.options)
        size = round(side * scene.height), round(side * scene.width)
        reference = SceneReference(stream, number, *size, split.options)
        if len(scene.objects) < low:
            continue
        drawn = reference.draw()
        sides = drawn.boxes[:, 2:] - drawn.boxes[:, :2]
        if sides.min() >= _LEAST_BOX * side and ask(drawn, np.random.default_rng(0), ("exist",)):
            yield reference, drawn


def boxes_of(drawn: DrawnScene, wanted: tuple[int, ...]) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """The boxes of the objects with the wanted numbers, and those of the others."""
    boxes: list[Box] = [(float(a), float(b), float(c), float(d)) for a, b, c, d in drawn.boxes]
    return tuple(boxes[i] for i in wanted), tuple(box for i, box in enumerate(boxes) if i not in wanted)
