"""Attention times the length of what is attended to (Kobayashi et al. 2020, "Attention is not only a weight",
arXiv 2004.10102): a token whose value is next to nothing passes nothing on, however much attention it draws.

Attention sinks are such tokens, so this takes them out without having to find them.
"""

from functools import partial

from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.lvlm.model import LvlmModel
from .method import Asked, Relevance, counted, from_layers


def compute(model: LvlmModel, prepared: Prepared, asked: Asked) -> list[Relevance]:
    """Attention times the norm of the token's value in each head, averaged over heads and layers."""
    return from_layers(model, prepared, asked, partial(_weighted, reading=asked.reading))


def _weighted(rows: LayerRows, reading: Reading) -> tuple[Tensor, ...]:
    passed_on = rows.probabilities * rows.value_norms.unsqueeze(1)
    return ((passed_on * counted(rows, reading)).mean(0),)
