"""Words about scenes: concepts ("red", "star", "red star"), and how one is named.

A concept is a colour, a shape, or both; its truth in a scene is exact (which objects it means), so every text made
here comes with the objects it speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .world import COLOURS, SHAPES, Scene


@dataclass(frozen=True)
class Concept:
    """What a text asks for. None leaves the colour or the shape open; not both may be None."""

    colour: str | None
    shape: str | None

    def means(self, colour: str, shape: str) -> bool:
        return self.colour in (None, colour) and self.shape in (None, shape)

    def found_in(self, scene: Scene) -> tuple[int, ...]:
        """Indices of the objects of `scene` it means."""
        return tuple(i for i, item in enumerate(scene.objects) if self.means(item.colour, item.shape))

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
