"""Questions about a drawn scene, with their answers, made so that neither habit nor gist answers them.

Yes/no questions toss the coin for the wanted answer first; a "no" about existence mostly swaps the colour and shape of
things that are there, a "no" about a colour mostly names another colour present. What is ambiguous is not asked: nearly
equal sizes, nearly equal positions, things hardly seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .captions import Concept, noun_phrase, plural, with_article
from .draw import DrawnScene
from .world import COLOURS, SHAPES

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six")
SIDES = ("left", "right", "top", "bottom")
RELATIONS = ("to the left of", "to the right of", "above", "below")
_SEEN = 0.35
_CLEAR_OFFSET, _CLEAR_RATIO = 0.12, 1.3


@dataclass(frozen=True)
class Question:
    """`objects`: indices of the scene's objects the question speaks of (empty when it asks for what is not there)."""

    kind: str
    text: str
    answer: str
    objects: tuple[int, ...]


@dataclass(frozen=True)
class _Facts:
    """What can be asked about: the visible objects, their middles (0..1 of the picture) and their sizes."""

    drawn: DrawnScene
    seen: tuple[int, ...]
    middle: np.ndarray
    size: np.ndarray

    def found(self, concept: Concept) -> tuple[int, ...]:
        return tuple(i for i in self.seen if concept.means(self.drawn.scene.objects[i]))

    def name(self, index: int) -> Concept:
        """The shortest concept that means this object alone, or its colour and shape."""
        item = self.drawn.scene.objects[index]
        for concept in (Concept(None, item.shape), Concept(item.colour, None)):
            if self.found(concept) == (index,):
                return concept
        return Concept(item.colour, item.shape)

    def unique(self) -> list[int]:
        """Objects that their colour and shape tell from all others."""
        items = self.drawn.scene.objects
        return [i for i in self.seen if self.found(Concept(items[i].colour, items[i].shape)) == (i,)]


def ask(drawn: DrawnScene, rng: np.random.Generator, kinds: tuple[str, ...] | None = None) -> list[Question]:
    """At most one question of each kind (all kinds by default) that this scene allows, in the order of `kinds`."""
    facts = _facts(drawn)
    if facts is None:
        return []
    asked = (_KINDS[kind](facts, rng) for kind in (kinds or QUESTION_KINDS))
    return [question for question in asked if question is not None]


def _facts(drawn: DrawnScene) -> _Facts | None:
    """None where a thing is so hidden that nobody could say whether it counts."""
    height, width = drawn.picture.shape[:2]
    scale = np.array([width, height], np.float32)
    boxes = drawn.boxes
    full = [np.pi * (o.radius * 0.6) ** 2 * height * width for o in drawn.scene.objects]
    area = drawn.masks.sum((1, 2))
    if not len(area) or any(a < _SEEN * f for a, f in zip(area, full, strict=True)):
        return None
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 / scale
    size = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    return _Facts(drawn, tuple(range(len(boxes))), middle, size)


def _pick(rng: np.random.Generator, items: list[int]) -> int:
    return items[int(rng.integers(len(items)))]


def _colour(facts: _Facts, rng: np.random.Generator) -> Question | None:
    items = facts.drawn.scene.objects
    lone = [i for i in facts.seen if facts.found(Concept(None, items[i].shape)) == (i,)]
    if not lone:
        return None
    index = _pick(rng, lone)
    return Question("colour", f"What colour is the {items[index].shape}?", items[index].colour, (index,))


def _shape(facts: _Facts, rng: np.random.Generator) -> Question | None:
    items = facts.drawn.scene.objects
    lone = [i for i in facts.seen if facts.found(Concept(items[i].colour, None)) == (i,)]
    if not lone:
        return None
    index = _pick(rng, lone)
    return Question("shape", f"What shape is the {items[index].colour} object?", items[index].shape, (index,))


def _exist(facts: _Facts, rng: np.random.Generator) -> Question | None:
    items = facts.drawn.scene.objects
    if rng.random() < 0.5:
        item = items[_pick(rng, list(facts.seen))]
        concept = Concept(item.colour, item.shape)
    else:
        swapped = [
            Concept(a.colour, b.shape) for a in items for b in items if not facts.found(Concept(a.colour, b.shape))
        ]
        absent = [Concept(c, s) for c in COLOURS for s in SHAPES if not facts.found(Concept(c, s))]
        pool = swapped if swapped and rng.random() < 0.6 else absent
        concept = pool[int(rng.integers(len(pool)))]
    found = facts.found(concept)
    return Question("exist", f"Is there {with_article(concept.phrase)}?", "yes" if found else "no", found)


def _verify(facts: _Facts, rng: np.random.Generator) -> Question | None:
    items = facts.drawn.scene.objects
    lone = [i for i in facts.seen if facts.found(Concept(None, items[i].shape)) == (i,)]
    if not lone:
        return None
    index = _pick(rng, lone)
    colour = items[index].colour
    if rng.random() < 0.5:
        present = [item.colour for item in items if item.colour != colour]
        others = present if present and rng.random() < 0.9 else [c for c in COLOURS if c != colour]
        colour = others[int(rng.integers(len(others)))]
    return Question(
        "verify", f"Is the {items[index].shape} {colour}?", "yes" if colour == items[index].colour else "no", (index,)
    )


def _count(facts: _Facts, rng: np.random.Generator) -> Question | None:
    """The wanted number is drawn first (0 to 3), then something there is that many of; failing that, the next."""
    concepts = [Concept(colour, None) for colour in COLOURS] + [Concept(None, shape) for shape in SHAPES]
    by_number: dict[int, list[Concept]] = {}
    for concept in concepts:
        by_number.setdefault(len(facts.found(concept)), []).append(concept)
    aim = int(rng.integers(4))
    wanted = min(by_number, key=lambda number: (abs(number - aim), number))
    pool = by_number[wanted]
    concept = pool[int(rng.integers(len(pool)))]
    text = f"How many {plural(noun_phrase(concept))} are there?"
    return Question("count", text, NUMBER_WORDS[wanted], facts.found(concept))


def _where(facts: _Facts, rng: np.random.Generator) -> Question | None:
    """The side of the picture by the larger of the two offsets from its middle."""
    clear = []
    for index in facts.unique():
        dx, dy = np.abs(facts.middle[index] - 0.5)
        if max(dx, dy) > _CLEAR_OFFSET and abs(dx - dy) > 0.06:
            clear.append(index)
    if not clear:
        return None
    index = _pick(rng, clear)
    dx, dy = facts.middle[index] - 0.5
    answer = (SIDES[0] if dx < 0 else SIDES[1]) if abs(dx) > abs(dy) else (SIDES[2] if dy < 0 else SIDES[3])
    return Question("where", f"Where is the {noun_phrase(facts.name(index))}?", answer, (index,))


def _relation(facts: _Facts, rng: np.random.Generator) -> Question | None:
    pairs = []
    for a in facts.unique():
        for b in facts.unique():
            dx, dy = facts.middle[a] - facts.middle[b]
            pairs += [(a, b, 0, dx)] if a != b and abs(dx) > _CLEAR_OFFSET else []
            pairs += [(a, b, 1, dy)] if a != b and abs(dy) > _CLEAR_OFFSET else []
    if not pairs:
        return None
    a, b, axis, offset = pairs[int(rng.integers(len(pairs)))]
    true_first = offset < 0
    yes = rng.random() < 0.5
    relation = RELATIONS[2 * axis + (0 if true_first == yes else 1)]
    text = f"Is the {noun_phrase(facts.name(a))} {relation} the {noun_phrase(facts.name(b))}?"
    return Question("relation", text, "yes" if yes else "no", (a, b))


def _compare(facts: _Facts, rng: np.random.Generator) -> Question | None:
    unique = facts.unique()
    pairs = [(a, b) for a in unique for b in unique if facts.size[a] > _CLEAR_RATIO * facts.size[b]]
    if not pairs:
        return None
    large, small = pairs[int(rng.integers(len(pairs)))]
    yes, bigger = rng.random(2) < 0.5
    first, second = (large, small) if yes == bigger else (small, large)
    word = "bigger" if bigger else "smaller"
    text = f"Is the {noun_phrase(facts.name(first))} {word} than the {noun_phrase(facts.name(second))}?"
    return Question("compare", text, "yes" if yes else "no", (first, second))


_KINDS: dict[str, Callable[[_Facts, np.random.Generator], Question | None]] = {
    "colour": _colour,
    "shape": _shape,
    "exist": _exist,
    "verify": _verify,
    "count": _count,
    "where": _where,
    "relation": _relation,
    "compare": _compare,
}
QUESTION_KINDS = tuple(_KINDS)
