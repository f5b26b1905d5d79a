"""The LLaVA map of "Attention Prompting on Image for Large Vision-Language Models" (ECCV 2024, arXiv 2409.17143).

A picture token's relevance is the attention that the rows which predict the answer's tokens pay it in a deep layer. The
paper takes the attention itself, A[m, t] averaged over tokens m and heads; the official code renormalises it over the
picture's tokens in each head first, softmax over their scores alone, so that a head which hardly looks at the picture
counts as much as one that looks at nothing else. This is the code's; `image_mass` is the paper's formula.
"""

from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.vision_language import VisionLanguageModel
from .method import LvlmRequest, TokenRelevance, averaged_over_layers, countable


def compute(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[TokenRelevance]:
    """Softmax over the picture's tokens, averaged over heads and layers: every row that sees one sums to 1."""
    return averaged_over_layers(model, prepared, request, mean_of_heads)


def mean_of_heads(rows: LayerRows, reading: Reading) -> Tensor:
    """The heads' mean share [R, n] of what they give the picture, 0 for tokens that are not counted."""
    return rows.among_image(countable(rows, reading)).mean(0)
