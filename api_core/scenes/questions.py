"""Questions about a drawn scene, with their answers, made so that neither habit nor gist answers them.

Yes/no questions toss the coin for the wanted answer first; a "no" about existence mostly swaps the colour and shape of
things that are there, a "no" about a colour mostly names another colour present. What is ambiguous is not asked: nearly
equal sizes, nearly equal positions, things hardly seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .captions import Concept, noun_phrase, plural, with_article
from .draw import DrawnScene
from .world import COLOURS, SHAPES

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six")
SIDES = ("left", "right", "top", "bottom")
RELATIONS = ("to the left of", "to the right of", "above", "below")
PLAIN: dict[str, tuple[str, ...]] = {
    "colour": ("What colour is the {n}?",),
    "shape": ("What shape is the {n}?",),
    "exist": ("Is there {a}?",),
    "verify": ("Is the {n} {c}?",),
    "count": ("How many {s} are there?",),
    "where": ("Where is the {n}?",),
    "relation": ("Is the {n} {r} the {m}?",),
    "compare": ("Is the {n} {w} than the {m}?",),
    "describe": ("Describe the picture.",),
}
"""How each kind of question is put. {n}, {m}: noun phrases ("red star"); {a}: one with its article; {s}: its plural;
{c}: a colour word; {r}: "to the left of" and the like; {w}: "bigger" or "smaller"."""
_T = TypeVar("_T")
_SEEN = 0.35
_CLEAR_OFFSET, _CLEAR_RATIO = 0.12, 1.3


@dataclass(frozen=True)
class Question:
    """`objects`: indices of the scene's objects the question speaks of (empty when it asks for what is not there)."""

    kind: str
    text: str
    answer: str
    objects: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Facts:
    """What can be asked about: per object (colour, shape), its middle [N, 2] in 0..1 of the picture, its size [N]."""

    names: tuple[tuple[str, str], ...]
    middle: np.ndarray
    size: np.ndarray

    @property
    def seen(self) -> range:
        return range(len(self.names))

    def found(self, concept: Concept) -> tuple[int, ...]:
        return tuple(i for i, name in enumerate(self.names) if concept.means(*name))

    def whole_name(self, index: int) -> Concept:
        return Concept(*self.names[index])

    def name(self, index: int, lot: np.random.Generator | None = None) -> Concept:
        """The shortest concept that means this object alone, or its colour and shape; with `lot` any that will do."""
        colour, shape = self.names[index]
        short = [c for c in (Concept(None, shape), Concept(colour, None)) if self.found(c) == (index,)]
        if lot is not None:
            short = [short[int(i)] for i in lot.permutation(len(short))] if lot.random() < 0.6 else []
        return short[0] if short else self.whole_name(index)

    def unique(self) -> list[int]:
        """Objects that their colour and shape tell from all others."""
        return [i for i in self.seen if self.found(self.whole_name(i)) == (i,)]


@dataclass(frozen=True, eq=False)
class _Speaker:
    """Puts questions in words. lot: chooses among wordings and synonyms; None says everything plainly."""

    wordings: Mapping[str, Sequence[str]]
    lot: np.random.Generator | None

    def noun(self, concept: Concept) -> str:
        return noun_phrase(concept, self.lot)

    def put(self, kind: str, **parts: str) -> str:
        wordings = self.wordings[kind]
        return wordings[0 if self.lot is None else int(self.lot.integers(len(wordings)))].format(**parts)


def ask(
    drawn: DrawnScene | Facts,
    rng: np.random.Generator,
    kinds: tuple[str, ...] | None = None,
    wordings: Mapping[str, Sequence[str]] | None = None,
) -> list[Question]:
    """At most one question of each kind (by default those of QUESTION_KINDS) that this scene allows, in that order.

    wordings: of each kind several, among which `rng` chooses, and among synonyms; None asks plainly.
    """
    facts = drawn if isinstance(drawn, Facts) else facts_of(drawn)
    if facts is None or not facts.names:
        return []
    speaker = _Speaker(wordings or PLAIN, rng if wordings else None)
    asked = (_KINDS[kind](facts, rng, speaker) for kind in (kinds or QUESTION_KINDS))
    return [question for question in asked if question is not None]


def facts_of(drawn: DrawnScene) -> Facts | None:
    """None where a thing is so hidden that nobody could say whether it counts."""
    size = drawn.picture.shape[:2]
    objects = drawn.scene.objects
    full = [np.pi * (o.radius * 0.6) ** 2 * size[0] * size[1] for o in objects]
    area = drawn.masks.sum((1, 2))
    if not len(area) or any(a < _SEEN * f for a, f in zip(area, full, strict=True)):
        return None
    return facts_from_boxes(tuple((o.colour, o.shape) for o in objects), drawn.boxes, size)


def facts_from_boxes(names: tuple[tuple[str, str], ...], boxes: np.ndarray, size: tuple[int, int]) -> Facts:
    """`boxes` [N, 4] (left, top, right, bottom in pixels) in a picture of `size` (height, width)."""
    scale = np.array(size[::-1], np.float32)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 / scale
    return Facts(names, middle, np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))


def _pick(rng: np.random.Generator, items: Sequence[_T]) -> _T:
    return items[int(rng.integers(len(items)))]


def _colour(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
    lone = [i for i in facts.seen if facts.found(Concept(None, facts.names[i][1])) == (i,)]
    if not lone:
        return None
    index = _pick(rng, lone)
    colour, shape = facts.names[index]
    return Question("colour", speaker.put("colour", n=speaker.noun(Concept(None, shape))), colour, (index,))


def _shape(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
    lone = [i for i in facts.seen if facts.found(Concept(facts.names[i][0], None)) == (i,)]
    if not lone:
        return None
    index = _pick(rng, lone)
    colour, shape = facts.names[index]
    phrase = speaker.noun(Concept(colour, None))
    return Question("shape", speaker.put("shape", n=phrase, c=phrase.split()[0]), shape, (index,))


def _exist(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
    if rng.random() < 0.5:
        concept = facts.whole_name(_pick(rng, facts.seen))
    else:
        crossed = (Concept(a[0], b[1]) for a in facts.names for b in facts.names)
        swapped = [concept for concept in crossed if not facts.found(concept)]
        absent = [Concept(c, s) for c in COLOURS for s in SHAPES if not facts.found(Concept(c, s))]
        concept = _pick(rng, swapped if swapped and rng.random() < 0.6 else absent)
    found = facts.found(concept)
    phrase = speaker.noun(concept)
    text = speaker.put("exist", a=with_article(phrase), s=plural(phrase))
    return Question("exist", text, "yes" if found else "no", found)


def _verify(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
    lone = [i for i in facts.seen if facts.found(Concept(None, facts.names[i][1])) == (i,)]
    if not lone:
        return None
    index = _pick(rng, lone)
    colour, shape = facts.names[index]
    if rng.random() < 0.5:
        present = [other for other, _ in facts.names if other != colour]
        colour = _pick(rng, present if present and rng.random() < 0.9 else [c for c in COLOURS if c != colour])
    text = speaker.put("verify", n=speaker.noun(Concept(None, shape)), c=colour)
    return Question("verify", text, "yes" if colour == facts.names[index][0] else "no", (index,))


def _count(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
    """The wanted number is drawn first (0 to 3), then something there is that many of; failing that, the next."""
    concepts = [Concept(colour, None) for colour in COLOURS] + [Concept(None, shape) for shape in SHAPES]
    by_number: dict[int, list[Concept]] = {}
    for concept in concepts:
        by_number.setdefault(len(facts.found(concept)), []).append(concept)
    aim = int(rng.integers(4))
    wanted = min(by_number, key=lambda number: (abs(number - aim), number))
    concept = _pick(rng, by_number[wanted])
    text = speaker.put("count", s=plural(speaker.noun(concept)))
    return Question("count", text, NUMBER_WORDS[wanted], facts.found(concept))


def _where(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
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
    return Question("where", speaker.put("where", n=speaker.noun(facts.name(index, speaker.lot))), answer, (index,))


def _relation(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
    pairs = []
    for a in facts.unique():
        for b in facts.unique():
            dx, dy = facts.middle[a] - facts.middle[b]
            pairs += [(a, b, 0, dx)] if a != b and abs(dx) > _CLEAR_OFFSET else []
            pairs += [(a, b, 1, dy)] if a != b and abs(dy) > _CLEAR_OFFSET else []
    if not pairs:
        return None
    a, b, axis, offset = _pick(rng, pairs)
    true_first = offset < 0
    yes = rng.random() < 0.5
    relation = RELATIONS[2 * axis + (0 if true_first == yes else 1)]
    n, m = (speaker.noun(facts.name(i, speaker.lot)) for i in (a, b))
    text = speaker.put("relation", n=n, m=m, r=relation)
    return Question("relation", text, "yes" if yes else "no", (a, b))


def _compare(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question | None:
    unique = facts.unique()
    pairs = [(a, b) for a in unique for b in unique if facts.size[a] > _CLEAR_RATIO * facts.size[b]]
    if not pairs:
        return None
    large, small = _pick(rng, pairs)
    yes, bigger = rng.random(2) < 0.5
    first, second = (large, small) if yes == bigger else (small, large)
    word = "bigger" if bigger else "smaller"
    n, m = (speaker.noun(facts.name(i, speaker.lot)) for i in (first, second))
    text = speaker.put("compare", n=n, m=m, w=word)
    return Question("compare", text, "yes" if yes else "no", (first, second))


def _describe(facts: Facts, rng: np.random.Generator, speaker: _Speaker) -> Question:
    """All objects in words, from left to right."""
    order = tuple(int(i) for i in np.argsort(facts.middle[:, 0], kind="stable"))
    answer = " and ".join(with_article(facts.whole_name(i).phrase) for i in order)
    return Question("describe", speaker.put("describe"), answer, order)


_Asker = Callable[[Facts, np.random.Generator, _Speaker], Question | None]
_KINDS: dict[str, _Asker] = {
    "colour": _colour,
    "shape": _shape,
    "exist": _exist,
    "verify": _verify,
    "count": _count,
    "where": _where,
    "relation": _relation,
    "compare": _compare,
    "describe": _describe,
}
QUESTION_KINDS = tuple(kind for kind in _KINDS if kind != "describe")
"""Those that have a short answer."""
