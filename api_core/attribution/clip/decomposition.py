"""The CLIP map of "Attention Prompting on Image for Large Vision-Language Models" (ECCV 2024, arXiv 2409.17143).

With η_t the part of block l's attention output for the class token that comes from patch t (all heads, after the output
projection), z_t the residual stream of patch t after that block, L(·) the last norm and the projection, and u the text:

- `class_token`: sim(L(η_t), u), what patch t adds to the similarity of picture and text;
- `patch`: sim(L(z_t), u). Empty patches score highest here, for they serve the model as registers; a mask therefore
  takes the complement, which keeps what has content even where the query does not name it.

The last norm is linearised at the class token, as Gandelsman et al. decompose CLIP (arXiv 2310.05916). A mask merges
both parts by a soft OR. The paper sums blocks; the official code, and this, take one block.

Towers without a class token have an analogue of the first part only, where their family has one: what each patch adds
to the pooled feature. Their patch tokens are not inverted registers, so no second part is merged in.
"""

from collections.abc import Mapping

from torch import Tensor

from ...choices import Reading
from ...models.clip.encoding import Encoding
from .presence import Telling


def compute(encoding: Encoding, texts: Tensor, reading: Reading) -> Mapping[str, Tensor]:
    """The two maps of a class-token tower, or the one of another, for unit-norm texts [T, e]."""
    constants = reading == "upstream" and encoding.complementary
    maps = {"class_token": encoding.class_token(texts, upstream_constants=constants)}
    if encoding.complementary:
        maps["patch"] = encoding.patch(texts, upstream_constants=constants)
    return maps


def telling(encoding: Encoding) -> Telling:
    """The `patch` part's spread in a class-token tower; in another the greatest contribution to the readout."""
    return Telling(encoding.patches, True) if encoding.complementary else Telling(encoding.contributions, False)
