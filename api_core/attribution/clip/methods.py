"""The methods by name. A new one is a file beside this, called after it, and a line in `choices.CLIP_METHODS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from torch import Tensor

from ... import choices
from ...models.clip.encoding import Encoding

Compute = Callable[[Encoding, Tensor, choices.Reading], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """A way from an encoded picture and texts to maps. describes: one sentence for people."""

    name: str
    describes: str

    @property
    def compute(self) -> Compute:
        """Takes an encoding, unit-norm texts [T, e] and the reading; gives a map's parts, each [T, rows, columns]."""
        module = import_module(f".{self.name.replace(' ', '_')}", __package__)
        return cast(Compute, module.compute)


METHODS = {name: Method(name, describes) for name, describes in choices.CLIP_METHODS.items()}


def list_methods() -> list[str]:
    """The names of the methods, the paper's first."""
    return list(METHODS)
