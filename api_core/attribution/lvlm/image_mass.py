"""Attention as it is: a head counts by the share of its attention that lies on the picture.

The formula of Attention Prompting (arXiv 2409.17143, eq. for the LLaVA-based map), whose official code gives every head
the same weight instead. Without renormalising, rows that do not look at the picture (of words that follow from grammar)
count little as well.
"""

from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.vision_language import VisionLanguageModel
from .method import LvlmRequest, TokenRelevance, averaged_over_layers, countable


def compute(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[TokenRelevance]:
    """The softmax over all that a row may look at, averaged over heads and layers."""
    return averaged_over_layers(model, prepared, request, mean_probability)


def mean_probability(rows: LayerRows, reading: Reading) -> Tensor:
    """The heads' mean attention [R, n], 0 for tokens that are not counted."""
    return (rows.probabilities * countable(rows, reading)).mean(0)
