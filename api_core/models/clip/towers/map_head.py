"""Towers with a MAP head (SigLIP arXiv 2303.15343, SigLIP 2, PE-Core): a learnt query pools, then an MLP is added.

The MLP is as large as what it is added to, so the attention's result alone says little. With z the pooled vector and
F its way to the unit-norm feature, contribution of token j = F'(z) W_o a_j (v_j - sum_k a_k v_k), head by head: how
the feature turns as attention leaves the other tokens for j. Contributions sum to nothing, and the rest is the feature.
(On random weights this agrees with leaving a token out, attention renormalised: correlation 1.00, where the share
a_j v_j alone reaches 0.65.) Patches are tokens after block `layer` as the pool would give them alone, normalised.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.func import jvp

from ...hooks import capturing, first_tensor
from ..contributions import Contributions, Step, in_float32
from . import Finalise, TowerOutputs, require_seen
from .attention_pool import Pool
from .attention_row import AttentionWeights


@dataclass(frozen=True)
class ResidualMlp:
    """z + MLP(norm(z)), the end of a MAP head."""

    norm: nn.LayerNorm
    mlp: nn.Module

    def __call__(self, pooled: Tensor) -> Tensor:
        return pooled + in_float32(self.mlp, in_float32(self.norm, pooled))


@dataclass(frozen=True)
class MapHeadReadout:
    """norm: what tokens pass before the pool. out: the pool's output projection. tail: after it; then `steps`.

    prefix: tokens before the patches; the pool may look at them too.
    """

    pool: Pool
    norm: nn.Module
    out: nn.Linear
    tail: ResidualMlp
    steps: tuple[Step, ...] = ()
    prefix: int = 0
    family: str = "MAP head"
    complementary: bool = False

    @contextmanager
    def record(self, blocks: Sequence[nn.Module], layer: int) -> Iterator[Finalise]:
        seen: dict[str, Any] = {}

        def read_row(row: AttentionWeights) -> None:
            mean = row.weighted.sum(dim=1, keepdim=True)
            heads = row.weights.transpose(1, 2)[..., None]
            shift = row.weighted - (mean.unflatten(2, (heads.shape[2], -1)) * heads).flatten(2)
            pooled = in_float32(self.out, mean)
            directions = Contributions.of(shift[:, -seen["count"] :]).propagate([self.out]).tokens
            turned = jvp(self._feature, (pooled.expand_as(directions).contiguous(),), (directions,))[1]
            seen["contributions"] = turned

        def read_block(output: Any) -> None:
            tokens = in_float32(self.norm, first_tensor(output)[:, self.prefix :].float())
            seen["count"] = tokens.shape[1]
            seen["patches"] = self._feature(in_float32(self.out, self.pool.values(tokens)))

        def finalise(features: Tensor) -> TowerOutputs:
            require_seen(seen, "contributions", "patches")
            feature = nn.functional.normalize(features.float(), dim=-1)
            contributions: Tensor = seen["contributions"]
            return TowerOutputs(contributions, feature - contributions.sum(dim=1), seen["patches"])

        with capturing() as hooks:
            self.pool.read(hooks, read_row)
            hooks.after(blocks[layer], read_block)
            yield finalise
            seen.clear()

    def _feature(self, pooled: Tensor) -> Tensor:
        """Pooled vectors [..., d] -> unit-norm features [..., e]."""
        value = self.tail(pooled)
        for step in self.steps:
            value = in_float32(step, value)
        return nn.functional.normalize(value, dim=-1)
