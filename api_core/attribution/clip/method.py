"""What a method of attribution is to the driver."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ...choices import Reading
from ...models.clip.encoding import Encoding

Parts = Callable[[Encoding, Tensor, Reading], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """A way from an encoded picture and texts to maps.

    name: what callers choose it by. parts: takes an encoding, unit-norm texts [T, e] and the reading, and gives the
    parts of the map by name, each [T, rows, columns]. describes: one sentence for people.
    """

    name: str
    parts: Parts
    describes: str
