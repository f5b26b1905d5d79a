"""Words about scenes: concepts ("red", "star", "red star"), and the many ways to name or ask for one.

A concept is a colour, a shape, or both; its truth in a scene is exact (which objects it means), so every text made
here comes with the objects it speaks of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .world import COLOURS, SHAPES, Scene, SceneObject


@dataclass(frozen=True)
class Concept:
    """What a text asks for. None leaves the colour or the shape open; not both may be None."""

    colour: str | None
    shape: str | None

    def means(self, item: SceneObject) -> bool:
        return self.colour in (None, item.colour) and self.shape in (None, item.shape)

    def found_in(self, scene: Scene) -> tuple[int, ...]:
        """Indices of the objects of `scene` it means."""
        return tuple(i for i, item in enumerate(scene.objects) if self.means(item))

    @property
    def phrase(self) -> str:
        return " ".join(word for word in (self.colour, self.shape) if word)


CONCEPTS: tuple[Concept, ...] = (
    *(Concept(colour, shape) for colour in COLOURS for shape in SHAPES),
    *(Concept(colour, None) for colour in COLOURS),
    *(Concept(None, shape) for shape in SHAPES),
)

SHAPE_NOUNS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "disc", "ball", "oval"),
    "square": ("square", "rectangle", "box", "block"),
    "triangle": ("triangle",),
    "star": ("star",),
    "cross": ("cross", "plus"),
    "heart": ("heart",),
}
COLOUR_NAMES: dict[str, tuple[str, ...]] = {colour: (colour,) for colour in COLOURS} | {"purple": ("purple", "violet")}
OPEN_NOUNS = ("thing", "object", "shape", "one", "item")

# {n} is the noun phrase ("red star"), {a} the same with its article, {s} its plural
TEMPLATES: tuple[str, ...] = (
    "{n}",
    "{n}",
    "{a}",
    "{a}",
    "the {n}",
    "the {n}",
    "{s}",
    "the {s}",
    "{a}.",
    "a picture of {a}",
    "a photo of {a}",
    "an image of {a}",
    "a drawing of the {n}",
    "there is {a}",
    "there is {a} in the picture",
    "there is {a} on the left",
    "there is {a} on the right side",
    "{a} at the top",
    "{a} at the bottom",
    "a small {n}",
    "a big {n}",
    "the large {n}",
    "one {n}",
    "two {s}",
    "three {s}",
    "this is {a}",
    "find the {n}",
    "find {a}",
    "find all the {s}",
    "show me the {n}",
    "look at the {n}",
    "point to the {n}",
    "describe the {n}",
    "describe the {n} in the image",
    "count the {s}",
    "please find the {n}",
    "tell me about the {n}",
    "i am looking for the {n}",
    "where is the {n}?",
    "where is the {n}",
    "where is {a}?",
    "where can you see the {n}?",
    "where in the image is the {n}?",
    "where are the {s}?",
    "is there {a}?",
    "is there {a} in the picture?",
    "are there any {s}?",
    "can you see {a}?",
    "do you see the {n}?",
    "does the picture show {a}?",
    "how many {s} are there?",
    "how many {s} do you see?",
    "how many {s} are in the picture?",
    "how big is the {n}?",
    "which side is the {n} on?",
    "is the {n} on the left or on the right?",
    "is the {n} above or below the middle?",
    "what is next to the {n}?",
    "what do you know about the {n}?",
)
SHAPE_TEMPLATES: tuple[str, ...] = (
    "what colour is the {n}?",
    "what color is the {n}?",
    "what colour is the {n}",
    "what color is the {n}",
    "which colour is the {n}?",
    "what colour does the {n} have?",
    "what is the colour of the {n}?",
    "what is the color of the {n}?",
    "the colour of the {n}",
    "is the {n} {other}?",
)
COLOUR_TEMPLATES: tuple[str, ...] = (
    "{c}",
    "{c}",
    "the {c} part",
    "something {c}",
    "everything {c}",
    "what is {c}?",
    "which one is {c}?",
    "what shape is the {n}?",
    "which shape is the {n}?",
    "what shape is {c}?",
    "what shape does the {n} have?",
    "what is the shape of the {n}?",
    "what is the {n}?",
    "is the {n} {other}?",
)
PAIR_TEMPLATES: tuple[str, ...] = (
    "{a} and {b}",
    "the {n} and the {m}",
    "{a} next to {b}",
    "{a} to the left of {b}",
    "{a} to the right of {b}",
    "{a} above {b}",
    "{a} below {b}",
    "is the {n} to the left of the {m}?",
    "is the {n} to the right of the {m}?",
    "is the {n} above the {m}?",
    "is the {n} below the {m}?",
    "is the {n} bigger than the {m}?",
    "which is larger, the {n} or the {m}?",
)
FURTHER_WORDS = """
yes no none nothing here color colors colours colored coloured gray grey colour smaller larger biggest
smallest most fewer more  than same different left right up down top bottom middle center centre corner four
five six zero or and not with without  of in on at to from by near background foreground person dog cat car
tree house sky water word text say says written  answer question image picture photo scene shapes things
objects see seen who why when how which what where 's its it  he she they we you i my your has have had was
were be been do does did can could will would should please tell me
"""


def with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def plural(phrase: str) -> str:
    return phrase + ("es" if phrase[-1] in "sx" else "s")


def noun_phrase(concept: Concept, rng: np.random.Generator | None = None) -> str:
    """The concept in words; with `rng` now and then a synonym ("disc"), and some noun where the shape is open."""

    def pick(words: tuple[str, ...]) -> str:
        return words[0] if rng is None or rng.random() < 0.7 else words[int(rng.integers(len(words)))]

    colour = pick(COLOUR_NAMES[concept.colour]) if concept.colour else ""
    if concept.shape:
        noun = pick(SHAPE_NOUNS[concept.shape])
    else:
        noun = OPEN_NOUNS[int(rng.integers(len(OPEN_NOUNS)))] if rng is not None else "object"
    return f"{colour} {noun}".strip()


def say(concept: Concept, rng: np.random.Generator) -> str:
    """One of the ways to name, find or ask for `concept`."""
    templates = TEMPLATES
    if concept.colour is None and rng.random() < 0.35:
        templates = SHAPE_TEMPLATES
    elif concept.shape is None and rng.random() < 0.4:
        templates = COLOUR_TEMPLATES
    phrase = noun_phrase(concept, rng)
    other = (
        COLOURS[int(rng.integers(len(COLOURS)))]
        if concept.colour is None
        else with_article(SHAPES[int(rng.integers(6))])
    )
    template = templates[int(rng.integers(len(templates)))]
    return template.format(n=phrase, a=with_article(phrase), s=plural(phrase), c=phrase.split()[0], other=other)


def say_pair(first: Concept, second: Concept, rng: np.random.Generator) -> str:
    """A text that names both concepts. Its relation may be untrue of a scene: only the naming is meant."""
    n, m = noun_phrase(first, rng), noun_phrase(second, rng)
    return PAIR_TEMPLATES[int(rng.integers(len(PAIR_TEMPLATES)))].format(n=n, m=m, a=with_article(n), b=with_article(m))


def caption(scene: Scene, rng: np.random.Generator, most: int = 3) -> str:
    """A true caption of up to `most` of the scene's objects, named in their order from left to right."""
    chosen = sorted(rng.permutation(len(scene.objects))[:most], key=lambda i: scene.objects[i].x)
    return " and ".join(with_article(scene.objects[i].name) for i in chosen) or "an empty picture"


def vocabulary() -> tuple[str, ...]:
    """Every word of this module's texts, sorted: what a tokenizer for scenes should hold whole."""
    words = set(FURTHER_WORDS.split()) | set(COLOURS) | set(OPEN_NOUNS) | {"violet", "empty", "an", "a"}
    nouns = [noun for names in SHAPE_NOUNS.values() for noun in names] + list(OPEN_NOUNS)
    words |= set(nouns) | {plural(noun) for noun in nouns}
    for template in (*TEMPLATES, *SHAPE_TEMPLATES, *COLOUR_TEMPLATES, *PAIR_TEMPLATES):
        words |= set(re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", template)))
    return tuple(sorted(words))
