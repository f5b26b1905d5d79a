"""Whether what a text asks for is in a picture at all, of numbers that a mask scales away.

How far the patch tokens of a picture differ in their similarity with the text: where the thing is there, some tell it
apart from the rest. Of class-token towers that is the greatest less the least `patch` similarity over all views, of
others, whose tokens have no such part, the greatest `class_token` contribution. How large these are depends on the
picture and the model; so the same number of NAMES is what it is compared with, by their median and their median
absolute deviation (MAD), which a few of them that are in the picture do not move much.

A name that the query itself speaks of is left out. Others that share a word with it stay: of "a red star" it is "a red
heart" and "a blue star" that tell a picture of both from one of a red star.
"""

import re
import weakref
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
from torch import Tensor

from ...models.catalog import EMBEDDED_CLIP
from ...models.clip import ClipModel, Encoding
from ...results import require_finite
from ...scenes.captions import with_article
from .model_views import ModelView

_NOISE = 1e-6
_WORD = re.compile(r"\w+")

NAMES = (
    "person dog cat bird horse cow fish flower tree car bus bicycle boat train airplane chair table bed cup bottle plate "
    "clock book phone computer lamp door window shoe hat bag umbrella"
).split()
"""What texts are compared with: things of photographs."""

DRAWN_NAMES = (
    "red circle, red star, red heart, green circle, green square, green star, green cross, blue square, blue triangle, "
    "blue star, yellow circle, yellow triangle, yellow heart, orange circle, orange square, orange star, orange cross, "
    "purple circle, purple triangle, purple heart, pink square, pink star, pink cross, brown circle, brown triangle, "
    "brown heart, white square, white star, white cross, black circle, black triangle, black heart"
).split(", ")
"""The same for the embedded model, which knows nothing else."""

_of_models: "weakref.WeakKeyDictionary[ClipModel, dict[torch.dtype, Tensor]]" = weakref.WeakKeyDictionary()


def names_for(model: ClipModel) -> list[str]:
    """What texts are compared with in that model's world."""
    return DRAWN_NAMES if model.name == EMBEDDED_CLIP else NAMES


def beside_names(model: ClipModel, query: str, feature: Tensor) -> np.ndarray:
    """A query's unit-norm feature [e] and those of the names it is compared with, as columns: [e, 1 + N].

    The names are encoded once for each model.
    """
    names = names_for(model)
    of_model = _of_models.setdefault(model, {})
    if model.dtype not in of_model:
        of_model[model.dtype] = model.encode_texts([with_article(name) for name in names])
    words = set(_WORD.findall(query.casefold()))
    kept = [index for index, name in enumerate(names) if not words.issuperset(name.split())]
    features = of_model[model.dtype]
    # Who names them all is compared with all of them.
    features = features[kept] if kept and len(kept) < len(names) else features
    return np.ascontiguousarray(torch.cat([feature[None], features]).numpy().T)


def score(encoded: Sequence[tuple[ModelView, Encoding]], texts: np.ndarray) -> float:
    """How many MADs the first of the texts [e, 1 + N] is above the median of the others in the picture of these views.

    0 where the others are all alike, so that nothing can be said.
    """
    greatest, least = [], []
    for view, encoding in encoded:
        # In numpy, whose small products and extremes take a third of torch's time.
        tokens = (encoding.patches if encoding.complementary else encoding.contributions).numpy()
        values = (tokens if bool(view.valid.all()) else tokens[view.valid.flatten().numpy()]) @ texts
        greatest.append(values.max(0))
        least.append(values.min(0))
    found = np.max(greatest, 0) - np.min(least, 0) if encoded[0][1].complementary else np.max(greatest, 0)
    require_finite(torch.from_numpy(found), "What tells whether the query is in the picture")
    own, *others = found.tolist()
    middle = median(others)
    deviation = median(abs(value - middle) for value in others)
    return (own - middle) / deviation if deviation > _NOISE * abs(middle) else 0.0
