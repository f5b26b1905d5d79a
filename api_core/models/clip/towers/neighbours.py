"""Dense features of a class-token tower: of each patch, what it takes from the tokens that are like it and near it.

NACLIP, "Pay Attention to Your Neighbours: Training-Free Open-Vocabulary Semantic Segmentation" (Hajimiri et al., WACV
2025, arXiv 2404.08181). With k and v the keys and values of a block's attention, and p_i the place of patch i in the
grid:

    o_i = sum_j softmax_j(k_i . k_j / sqrt(d) + exp(-|p_i - p_j|^2 / (2 sigma^2))) v_j,    sigma = 5 cells

in each head. What the block's attention makes of o_i takes the place of the block's result: what came in is not added,
and the MLP is left out. The last norm, each token's own, and the projection follow. Tokens without a place in the grid,
such as the class token, are looked at as well, with nothing added to their scores.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....errors import UnsupportedModel
from ...hooks import capturing
from ..contributions import Step, in_float32
from . import Finalise, Readout, TowerOutputs, require_seen
from .attention_row import KeysAndValues
from .class_token import ClassTokenReadout

SIGMA = 5.0
"""Of the Gaussian, in cells: the paper's."""


@dataclass(frozen=True)
class NeighbourReadout:
    """What `plain` reads, and the neighbours of every patch of a grid of (rows, columns)."""

    plain: ClassTokenReadout
    grid: tuple[int, int]

    @property
    def family(self) -> str:
        return self.plain.family

    @property
    def complementary(self) -> bool:
        return self.plain.complementary

    @contextmanager
    def record(self, blocks: Sequence[nn.Module], layer: int) -> Iterator[Finalise]:
        seen: dict[str, Tensor] = {}
        attention = self.plain.attention(blocks[layer])
        steps = (*attention.steps, self.plain.readable(self.plain.norm))

        def read(tokens: KeysAndValues) -> None:
            seen["keys"] = self._dense(steps, tokens)

        def with_neighbours(features: Tensor) -> TowerOutputs:
            require_seen(seen, "keys")
            return replace(finalise(features), neighbours=seen["keys"])

        with capturing() as hooks, self.plain.record(blocks, layer) as finalise:
            attention.read_all(hooks, read)
            yield with_neighbours
            seen.clear()

    def _dense(self, steps: Sequence[Step], tokens: KeysAndValues) -> Tensor:
        """[B, n, e], unit norm."""
        prefix = self.plain.prefix
        near = F.pad(nearness(self.grid).to(tokens.keys), (prefix, 0))
        queries = tokens.keys[:, :, prefix:]
        taken = F.scaled_dot_product_attention(queries, tokens.keys, tokens.values, near, scale=tokens.scale)
        value = taken.transpose(1, 2).flatten(2)
        for step in steps:
            value = in_float32(step, value)
        value = value @ self.plain.projection().float()
        bias = self.plain.bias()
        return F.normalize(value if bias is None else value + bias.float(), dim=-1)


def neighbour_readout(readout: Readout, grid: tuple[int, int], name: str) -> NeighbourReadout:
    """Of a tower that reads its class token; UnsupportedModel for any other."""
    if not isinstance(readout, ClassTokenReadout):
        raise UnsupportedModel(
            f"{name} has no class token ({readout.family}), and what a patch takes from its neighbours is read in "
            "models that have one. Choose another method, such as decomposition, or a model such as ViT-B-16/openai."
        )
    return NeighbourReadout(readout, grid)


def nearness(grid: tuple[int, int]) -> Tensor:
    """The Gaussian of the distance between the patches of a grid, 1 for a patch itself: [n, n], row-major."""
    rows, columns = (torch.arange(count, dtype=torch.float32) for count in grid)
    places = torch.cartesian_prod(rows, columns)
    return torch.exp(-torch.cdist(places, places).square() / (2 * SIGMA**2))
