"""The many ways to name or ask for a concept, and every word that they are made of."""

from __future__ import annotations

import re

import numpy as np

from api_core.scenes import COLOURS, SHAPES
from api_core.scenes.captions import OPEN_NOUNS, SHAPE_NOUNS, Concept, noun_phrase, plural, with_article

from .wordings import COLOUR_TEMPLATES, FURTHER_WORDS, PAIR_TEMPLATES, SHAPE_TEMPLATES, TEMPLATES


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


def vocabulary() -> tuple[str, ...]:
    """Every word of these texts, sorted: what a tokenizer for scenes should hold whole."""
    words = set(FURTHER_WORDS.split()) | set(COLOURS) | set(OPEN_NOUNS) | {"violet", "empty", "an", "a"}
    nouns = [noun for names in SHAPE_NOUNS.values() for noun in names] + list(OPEN_NOUNS)
    words |= set(nouns) | {plural(noun) for noun in nouns}
    for template in (*TEMPLATES, *SHAPE_TEMPLATES, *COLOUR_TEMPLATES, *PAIR_TEMPLATES):
        words |= set(re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", template)))
    return tuple(sorted(words))
