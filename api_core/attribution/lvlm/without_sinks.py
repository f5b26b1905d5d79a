"""Attention without visual sinks, after "See What You Are Told: Visual Attention Sink in Large Multimodal Models"
(Kang et al., ICLR 2025, arXiv 2503.03321).

Some picture tokens draw attention whatever is asked, most of them on the background. They share massive activations
with the first token of the text, in the same few dimensions of what enters a layer. The paper lists those dimensions
per model; here they are those in which the prompt's own first token reaches the paper's threshold, which needs no list.
Tokens that reach it in one of them too are sinks. Of the heads those are kept that look at the picture at all, and at
other tokens than sinks there.
"""

from typing import cast

import torch
from torch import Tensor

from ...choices import Reading
from ...models.conversation.case import Prepared
from ...models.lvlm.attention.layer_recorder import LayerRows
from ...models.vision_language import VisionLanguageModel
from .method import LvlmRequest, TokenRelevance, averaged_over_layers, countable

# The paper's: activation of a sink in root mean squares; a head's least attention to the picture, and of that to other
# tokens than sinks.
SINK_THRESHOLD = 20.0
LEAST_IMAGE_MASS = 0.2
LEAST_SHARE = 0.8


def compute(model: VisionLanguageModel, prepared: Prepared, request: LvlmRequest) -> list[TokenRelevance]:
    """The kept heads' mean attention to tokens that are no sinks, averaged over layers.

    Heads are chosen for each row. Where no head of a row passes, the one that comes nearest is kept: the one with most
    attention on the picture's other tokens.
    """
    return averaged_over_layers(model, prepared, request, _chosen_heads, sink_activation=SINK_THRESHOLD)


def _chosen_heads(rows: LayerRows, reading: Reading) -> Tensor:
    looks = rows.probabilities * countable(rows, reading)
    kept = looks * (cast(Tensor, rows.sink_activation) < SINK_THRESHOLD)
    mass, elsewhere = looks.sum(-1), kept.sum(-1)
    share = elsewhere / mass.clamp(min=torch.finfo(mass.dtype).tiny)
    passes = (mass >= LEAST_IMAGE_MASS) & (share >= LEAST_SHARE)
    nearest = torch.nn.functional.one_hot(elsewhere.argmax(0), len(looks)).T.bool()
    chosen = torch.where(passes.any(0), passes, nearest).to(kept.dtype)
    return (kept * chosen.unsqueeze(-1)).sum(0) / chosen.sum(0).unsqueeze(-1)
