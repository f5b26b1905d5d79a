"""What the library needs to know of a model's towers; one file per way a picture tower pools its patches."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from ....errors import UnsupportedModel


@dataclass(frozen=True)
class TowerOutputs:
    """What a readout found for a mini-batch, float32 on the model's device; the fields are those of `Encoding`."""

    contributions: Tensor
    rest: Tensor
    patches: Tensor
    contribution_offset: Tensor | None = None
    patch_offset: Tensor | None = None
    neighbours: Tensor | None = None


Finalise = Callable[[Tensor], TowerOutputs]


class Readout(Protocol):
    """How a tower turns patches into its feature, and how that is read.

    `record(blocks, layer)` attaches to the modules while the tower runs, and gives a function that makes the outputs
    from the tower's features [B, e], not normalised.
    """

    @property
    def family(self) -> str: ...

    @property
    def complementary(self) -> bool: ...

    def record(self, blocks: Sequence[nn.Module], layer: int) -> AbstractContextManager[Finalise]: ...


@dataclass(frozen=True)
class Tower:
    """A picture tower: how it is run, its blocks in order, and how it is read.

    encode: pixels [B, 3, H, W], normalised, in the model's dtype, and valid [B, rows, columns] or None -> features
    [B, e]. grid: (height, width) in pixels -> (rows, columns). side: of its square pictures, in pixels. width: channels
    of a token. patch: its side when the tower takes any rectangle of whole patches, as many as the square.
    """

    encode: Callable[[Tensor, Tensor | None], Tensor]
    blocks: Sequence[nn.Module]
    readout: Readout
    grid: Callable[[int, int], tuple[int, int]]
    side: int
    width: int
    patch: int | None = None

    def takes(self, height: int, width: int) -> bool:
        """Whether pictures of this size go in."""
        if self.patch is None:
            return height == width == self.side
        rows, columns = self.grid(height, width)
        whole = height % self.patch == 0 and width % self.patch == 0
        return whole and 0 < rows * columns <= (self.side // self.patch) ** 2

    @property
    def family(self) -> str:
        return self.readout.family


@dataclass(frozen=True)
class TextTower:
    """How texts are encoded: token ids [T, context] -> features [T, e], not normalised.

    croppable: tokens after a text's end cannot change its feature (causal attention, read at the end of the text), so
    a shorter context gives the same.
    """

    encode: Callable[[Tensor], Tensor]
    context_length: int
    croppable: bool


def unsupported(name: str, what: str) -> UnsupportedModel:
    """The error that names the tower and what to use instead."""
    return UnsupportedModel(
        f"{name} has a picture tower that cannot be read for a heatmap: {what}. Use a model with a class-token ViT, "
        "such as ViT-L-14-336/openai or ViT-B-16/openai."
    )


def require_seen(seen: Collection[str], *names: str) -> None:
    """Raise UnsupportedModel unless the tower showed everything its readout needs while it ran."""
    if missing := set(names) - set(seen):
        raise UnsupportedModel(
            f"The picture tower ran without showing its {', '.join(sorted(missing))}: it is built differently from its "
            "kind, or runs attention in a way of its own. Use an unmodified model, such as ViT-L-14-336/openai."
        )
