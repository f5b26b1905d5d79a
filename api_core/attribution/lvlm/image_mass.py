"""Attention as it is: a head counts by the share of its attention that lies on the picture.

The formula of Attention Prompting (arXiv 2409.17143, eq. for the LLaVA-based map), whose official code gives every head
the same weight instead. Without renormalising, rows that do not look at the picture (of words that follow from grammar)
count little as well.
"""

from functools import partial

from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.lvlm.model import LvlmModel
from .method import Asked, Relevance, counted, from_layers


def compute(model: LvlmModel, prepared: Prepared, asked: Asked) -> list[Relevance]:
    """The softmax over all that a row may look at, averaged over heads and layers."""
    return from_layers(model, prepared, asked, partial(mean_probability, reading=asked.reading))


def mean_probability(rows: LayerRows, reading: Reading) -> tuple[Tensor, ...]:
    """The heads' mean attention [R, n], 0 for tokens that are not counted."""
    return ((rows.probabilities * counted(rows, reading)).mean(0),)
