"""The texts of one training step and which objects of the batch each of them means."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
from torch import Tensor

from api_core.scenes import COLOURS, SHAPES
from api_core.scenes.captions import CONCEPTS

from ..texts import say, say_pair

_COLOUR = torch.tensor([COLOURS.index(c.colour) if c.colour else -2 for c in CONCEPTS])
_SHAPE = torch.tensor([SHAPES.index(c.shape) if c.shape else -2 for c in CONCEPTS])


@dataclass
class Texts:
    """`tokens` [T, L]; `means` [B, K, T] bool: text t speaks of object k of picture b; `true` [B, T] bool."""

    tokens: Tensor
    means: Tensor
    true: Tensor


def concept_means(kinds: Tensor) -> Tensor:
    """kinds [B, K, 2] (colour, shape; -1 = empty slot) to [B, K, C] bool over `CONCEPTS`."""
    colour, shape = kinds[..., :1], kinds[..., 1:]
    return ((_COLOUR == -2) | (colour == _COLOUR)) & ((_SHAPE == -2) | (shape == _SHAPE)) & (colour >= 0)


def draw_texts(
    kinds: Tensor,
    seen: Tensor,
    tokenizer: open_clip.SimpleTokenizer,
    rng: np.random.Generator,
    pairs: int = 24,
    odd: float = 0.08,
    unsaid: tuple[int, ...] = (),
) -> Texts:
    """Every concept once in some wording, and `pairs` texts naming two objects of a picture of the batch.

    `seen` [B, K] bool: objects that are visible at all. A share `odd` of the texts gets a made-up word. `unsaid`:
    places in `CONCEPTS` of concepts that no text may name.
    """
    single = concept_means(kinds) & seen[..., None]
    said = [number for number in range(len(CONCEPTS)) if number not in unsaid]
    texts = [say(CONCEPTS[number], rng) for number in said]
    columns, truths = [single[..., said]], [single[..., said].any(1)]
    for _ in range(pairs):
        row = int(rng.integers(len(kinds)))
        here = [int(i) for i in torch.nonzero(single[row].any(0)).flatten()]
        if len(here) < 2:
            continue
        first, second = (here[i] for i in rng.choice(len(here), 2, replace=False))
        texts.append(say_pair(CONCEPTS[first], CONCEPTS[second], rng))
        columns.append((single[..., first] | single[..., second])[..., None])
        truths.append((single[..., first].any(1) & single[..., second].any(1))[:, None])
    texts = [_odd_word(text, rng) if rng.random() < odd else text for text in texts]
    tokens = tokenizer(texts)
    length = int((tokens > 0).sum(1).max())
    return Texts(tokens[:, :length], torch.cat(columns, 2), torch.cat(truths, 1))


def _odd_word(text: str, rng: np.random.Generator) -> str:
    letters = "".join(string.ascii_lowercase[int(i)] for i in rng.integers(0, 26, int(rng.integers(2, 7))))
    words = text.split()
    words.insert(int(rng.integers(len(words) + 1)), letters)
    return " ".join(words)
