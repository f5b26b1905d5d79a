"""Towers that read the class token: the maps of Attention Prompting on Image (ECCV 2024, arXiv 2409.17143).

With a block L, the final class token c, its norm's gain g and bias b, the projection P and the feature f:
- contribution of token j: P^T [g * o_j] / (std(c) |f|), o_j what the class token takes from token j in block L's
  attention, all heads, after the output projection (and after LayerScale or norms on its way to the residual stream);
- patch: P^T [g * r_j] / (std(c) |f|), r_j the residual stream after block L.
The norm is frozen at c. Like the official code, tokens are not centred one by one: it takes c's mean apart in equal
parts instead, which adds the same to every token (`*_offset`), as do b and the attention's biases.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...hooks import AttentionCall, Hooks, capturing, first_tensor
from ..contributions import Contributions, Matrix, Scale, Step, inverse_deviation, norm_gain
from . import Finalise, TowerOutputs, require_seen
from .attention_row import AttentionWeights, KeysAndValues, Projections, pairs_of_call, row_of_call


@dataclass(frozen=True)
class BlockAttention:
    """One block's attention: the module, how its class-token row is read, and the steps to the residual stream."""

    module: nn.Module
    steps: tuple[Step, ...]
    fused: bool

    def read(self, hooks: Hooks, use: Callable[[AttentionWeights], None]) -> None:
        """Give `use` the class token's row when the block runs.

        fused: it is taken at the fused attention call (rotary embeddings, norms on queries and keys), otherwise from
        the module's input and weights.
        """
        if self.fused:
            self.watch(hooks, lambda call: use(row_of_call(call)))
            return

        def from_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tokens = _tokens(args, kwargs)
            use(Projections.of(self.module).row(tokens[:, 0], tokens))

        hooks.before(self.module, from_input)

    def read_all(self, hooks: Hooks, use: Callable[[KeysAndValues], None]) -> None:
        """Give `use` the keys and values of all tokens when the block runs."""
        if self.fused:
            self.watch(hooks, lambda call: use(pairs_of_call(call)))
            return
        hooks.before(self.module, lambda args, kwargs: use(Projections.of(self.module).pairs(_tokens(args, kwargs))))

    def watch(self, hooks: Hooks, read: Callable[[AttentionCall], None]) -> None:
        """Show `read` the call of the attention function when the block runs."""
        hooks.attention(self.module, read)


@dataclass(frozen=True)
class ClassTokenReadout:
    """attention: block -> its attention. norm: the final norm, called on [B, n, d] or [B, d].

    projection: gives the matrix [d, e] after it, and bias what is added then, [e] or None; asked each time, because a
    host may move the model in between. prefix: tokens before the patches, the class token first. readable: gives of the
    norm one whose weights can be read, where a host keeps them in a way of its own; asked each time too, before the
    model runs.
    """

    attention: Callable[[nn.Module], BlockAttention]
    norm: nn.LayerNorm
    projection: Callable[[], Tensor]
    prefix: int = 1
    family: str = "class token"
    complementary: bool = True
    bias: Callable[[], Tensor | None] = lambda: None
    readable: Callable[[nn.LayerNorm], nn.LayerNorm] = lambda norm: norm

    @contextmanager
    def record(self, blocks: Sequence[nn.Module], layer: int) -> Iterator[Finalise]:
        seen: dict[str, Any] = {}
        block = blocks[layer]
        attention = self.attention(block)
        norm = self.readable(self.norm)
        gain = norm_gain(norm)
        projection = self.projection().float()

        def read_row(row: AttentionWeights) -> None:
            seen["attention"] = Contributions.of(row.weighted).propagate(
                (*attention.steps, Scale(gain), Matrix(projection))
            )

        def read_residual(output: Any) -> None:
            # Used at once: of ComfyUI's towers the next block adds to it in place.
            tokens = first_tensor(output)[:, self.prefix :].float() * gain
            seen["patches"] = tokens @ projection

        def read_final(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            value = first_tensor(args if args else kwargs["input"])
            seen["class token"] = (value[:, 0] if value.ndim == 3 else value).float()

        def finalise(features: Tensor) -> TowerOutputs:
            require_seen(seen, "attention", "patches", "class token")
            scale = inverse_deviation(seen["class token"], norm.eps) / features.float().norm(dim=-1)
            shares: Contributions = seen["attention"]
            kept = shares.without_prefix(self.prefix)
            return TowerOutputs(
                contributions=kept.tokens * scale[:, None, None],
                rest=kept.rest * scale[:, None],
                patches=seen["patches"] * scale[:, None, None],
                **_offsets(norm, projection, shares, seen["class token"], features, len(blocks)),
            )

        with capturing() as hooks:
            attention.read(hooks, read_row)
            hooks.after(block, read_residual)
            hooks.before(self.norm, read_final)
            yield finalise
            seen.clear()


def _offsets(
    norm: nn.LayerNorm, projection: Tensor, shares: Contributions, final: Tensor, features: Tensor, depth: int
) -> dict[str, Tensor]:
    """The official code's equal parts: of 2 * depth - 1 summands of c, and of the n tokens of the attention."""
    summands, count = 2 * depth - 1, shares.tokens.shape[1]
    length = features.float().norm(dim=-1, keepdim=True)
    deviation = inverse_deviation(final, norm.eps)[:, None]
    mean = final.mean(dim=-1, keepdim=True).expand_as(final) * norm_gain(norm) * deviation
    bias = final.new_zeros(()) if norm.bias is None else norm.bias.float()
    part = (bias - mean) @ projection / summands / length
    return {"contribution_offset": (part + shares.rest * deviation / length) / count, "patch_offset": part}


def _tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """[B, n, channels], what an attention module is called with."""
    return first_tensor(args if args else kwargs.get("hidden_states", kwargs.get("query")))


def multihead(block: nn.Module, *, attention: str = "attn") -> BlockAttention:
    """A block whose attention is nn.MultiheadAttention, or has q_proj, k_proj, v_proj and out_proj."""
    module = getattr(block, attention)
    gamma = getattr(getattr(block, "ls_1", None), "gamma", None)
    scale = () if gamma is None else (Scale(gamma),)
    return BlockAttention(module, (module.out_proj, *scale), fused=False)
