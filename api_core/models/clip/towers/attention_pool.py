"""Towers that read their patches by one attention at the end: ResNets (mean-token query), CoCa (learnt queries).

Nothing nonlinear but a LayerNorm follows, so what a patch adds to the feature is exact, with the norm frozen at the
pooled vector: contribution of token j = S(a_j v_j) / |f|, S the steps after the attention; contributions and rest add
up to the unit-norm feature. A patch by itself (`patches`) is what the pool would give if it looked at nothing else,
normalised: the value path of MaskCLIP (arXiv 2112.01071).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...hooks import Hooks, capturing
from ..contributions import Contributions, Step, in_float32
from . import Finalise, TowerOutputs, require_seen
from .attention_row import AttentionWeights, Projections, row_of_call


@dataclass(frozen=True)
class Pool:
    """The attention that pools: how its row is read, and how tokens become values.

    values: tokens [B, n, d] as they enter the pool -> values [B, n, H * d].
    """

    read: Callable[[Hooks, Callable[[AttentionWeights], None]], None]
    values: Callable[[Tensor], Tensor]


def multihead_pool(attention: nn.MultiheadAttention, norm: nn.LayerNorm | None = None) -> Pool:
    """A pool that is nn.MultiheadAttention, read at its input by query 0; norm: what tokens pass before it."""

    def read(hooks: Hooks, use: Callable[[AttentionWeights], None]) -> None:
        def from_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            query, tokens = args[0], args[1]
            mask = kwargs.get("attn_mask")
            if mask is not None:
                mask = mask.view(-1, attention.num_heads, query.shape[1], tokens.shape[1])[:, :, 0]
            use(Projections.of(attention).row(query[:, 0], tokens, mask))

        hooks.before(attention, from_input)

    def values(tokens: Tensor) -> Tensor:
        tokens = tokens.float() if norm is None else in_float32(norm, tokens.float())
        return Projections.of(attention).values(tokens)

    return Pool(read, values)


def latent_pool(pool: Any) -> Pool:
    """timm's AttentionPoolLatent, read at its fused attention call (it may norm queries and keys)."""

    def values(tokens: Tensor) -> Tensor:
        weight = pool.kv.weight.float().chunk(2)[1]
        bias = None if pool.kv.bias is None else pool.kv.bias.float().chunk(2)[1]
        return nn.functional.linear(tokens.float(), weight, bias)

    return Pool(lambda hooks, use: hooks.attention(pool, lambda call: use(row_of_call(call))), values)


def mean_token_pool(pool: Any) -> Pool:
    """The attention pool of CLIP's ResNets: the mean over the map asks, and is asked as the first token too."""

    def read(hooks: Hooks, use: Callable[[AttentionWeights], None]) -> None:
        def from_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tokens = args[0].flatten(2).transpose(1, 2).float()
            tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + pool.positional_embedding.float()
            use(Projections.of(pool).row(tokens[:, 0], tokens))

        hooks.before(pool, from_input)

    return Pool(read, lambda tokens: Projections.of(pool).values(tokens.float()))


@dataclass(frozen=True)
class AttentionPoolReadout:
    """steps: from the attention's result to the feature; asked each time, because a host may move the model.

    prefix: tokens before the patches. deep: patches are the tokens after block `layer`; otherwise the pool's own
    values, whatever the layer.
    """

    pool: Pool
    steps: Callable[[], Sequence[Step]]
    prefix: int = 1
    deep: bool = False
    family: str = "attention pool"
    complementary: bool = False

    @contextmanager
    def record(self, blocks: Sequence[nn.Module], layer: int) -> Iterator[Finalise]:
        seen: dict[str, Any] = {}
        steps = self.steps()

        def read_row(row: AttentionWeights) -> None:
            seen["attention"] = Contributions.of(row.weighted).propagate(steps).without_prefix(self.prefix)
            seen.setdefault("patches", single_token_features(row.values[:, self.prefix :], steps))

        def read_block(output: Any) -> None:
            tokens = output if isinstance(output, Tensor) else output[0]
            seen["patches"] = single_token_features(self.pool.values(tokens[:, self.prefix :]), steps)

        def finalise(features: Tensor) -> TowerOutputs:
            require_seen(seen, "attention", "patches")
            length = features.float().norm(dim=-1, keepdim=True)
            shares: Contributions = seen["attention"]
            return TowerOutputs(shares.tokens / length[:, None], shares.rest / length, seen["patches"])

        with capturing() as hooks:
            self.pool.read(hooks, read_row)
            if self.deep:
                hooks.after(blocks[layer], read_block)
            yield finalise
            seen.clear()


def single_token_features(values: Tensor, steps: Sequence[Step]) -> Tensor:
    """What the feature would be if there were one token only: values [B, n, d] -> unit-norm [B, n, e]."""
    for step in steps:
        values = in_float32(step, values)
    return nn.functional.normalize(values, dim=-1)
