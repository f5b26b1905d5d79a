"""Plain likeness of each patch's own token with the text, as CLIP Surgery (arXiv 2304.05653) takes for its start.

Cheap and direct. On class-token models trained on whole pictures it is often *higher on the background* (the "opposite
visualisation" of that paper), so invert the mask there, or use the decomposition; on models whose patches were trained
against texts, and on those that pool their patches, it lies on the object.
"""

from collections.abc import Mapping

from torch import Tensor

from ...choices import Reading
from ...models.clip.encoding import Encoding
from .presence import Telling


def compute(encoding: Encoding, texts: Tensor, reading: Reading) -> Mapping[str, Tensor]:
    """One map, `similarity`: each patch's projected token with unit-norm texts [T, e]; the same in both readings."""
    return {"similarity": encoding.patch(texts)}


def telling(encoding: Encoding) -> Telling:
    """The map's spread, which does not mind on which side the object lies."""
    return Telling(encoding.patches, True)
