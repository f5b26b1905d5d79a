"""Attention times the length of what is attended to (Kobayashi et al. 2020, "Attention is not only a weight",
arXiv 2004.10102): a token whose value is next to nothing passes nothing on, however much attention it draws.

Attention sinks are such tokens, so this takes them out without having to find them.
"""

from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.vision_language import VisionLanguageModel
from .method import LvlmRequest, TokenRelevance, averaged_over_layers, countable


def compute(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[TokenRelevance]:
    """Attention times the norm of the token's value in each head, averaged over heads and layers."""
    return averaged_over_layers(model, prepared, request, weighted_by_values)


def weighted_by_values(rows: LayerRows, reading: Reading) -> Tensor:
    """The heads' mean [R, n] of attention times the length of the value, 0 for tokens that are not counted."""
    passed_on = rows.probabilities * rows.value_norms.unsqueeze(1)
    return (passed_on * countable(rows, reading)).mean(0)
