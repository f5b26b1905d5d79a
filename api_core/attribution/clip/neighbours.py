"""Likeness of what each patch takes from its neighbours with the text: NACLIP (WACV 2025, arXiv 2404.08181).

What the paper does for segmentation: in the last block every patch looks at the patches like it and near it, and that
alone goes on to the text (formula: `models/clip/towers/neighbours.py`). Made for models trained on photographs and
their captions, whose patches carry what lies there; one forward pass and one more attention. The paper compares many
class names in each patch; here one text is compared with all patches, so that differences between patches count.
"""

from collections.abc import Mapping

from torch import Tensor

from ...choices import Reading
from ...models.clip.encoding import Encoding
from .presence import Telling

NEIGHBOURS = True


def compute(encoding: Encoding, texts: Tensor, reading: Reading) -> Mapping[str, Tensor]:
    """One map, `similarity`: the cosine of each patch with unit-norm texts [T, e]; the same in both readings."""
    return {"similarity": encoding.neighbourhood(texts)}


def telling(encoding: Encoding) -> Telling:
    """The spread of the patches' own tokens in the same block: what neighbours give is a mean over many of them, and
    tells less of a thing that is there once."""
    return Telling(encoding.patches, True)
