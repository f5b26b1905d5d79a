"""Towers that average their last tokens or feature map: CLIPA, gap ViTs, ViTamin, ConvNeXt, Swin, FastViT.

What a token adds is its share of the mean, carried through what follows with norms frozen at the mean and an MLP
replaced by its Jacobian there: class activation mapping (arXiv 1512.04150) with a norm in between. Divided by the
feature's norm, contributions and rest add up to the unit-norm feature exactly. Patches are the tokens by themselves
through the same steps, normalised; both are read at the end, whatever the layer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...hooks import capturing, first_tensor
from ..contributions import Contributions, Step
from . import Finalise, TowerOutputs, require_seen
from .attention_pool import single_token_features


@dataclass(frozen=True)
class AveragePoolReadout:
    """source: the module whose output is averaged. steps: after the mean. prefix: tokens that are left out of it.

    channels_last: of a feature map; it decides nothing for tokens [B, n, d].
    """

    source: nn.Module
    steps: Callable[[], Sequence[Step]]
    prefix: int = 0
    channels_last: bool = False
    family: str = "average pool"
    complementary: bool = False

    @contextmanager
    def record(self, blocks: Sequence[nn.Module], layer: int) -> Iterator[Finalise]:
        seen: dict[str, Tensor] = {}

        def read(output: Any) -> None:
            seen["tokens"] = self._tokens(first_tensor(output)).float()

        def finalise(features: Tensor) -> TowerOutputs:
            require_seen(seen, "tokens")
            tokens = seen["tokens"]
            steps = self.steps()
            shares = Contributions.of(tokens / tokens.shape[1]).propagate(steps)
            length = features.float().norm(dim=-1, keepdim=True)
            return TowerOutputs(
                shares.tokens / length[:, None], shares.rest / length, single_token_features(tokens, steps)
            )

        with capturing() as hooks:
            hooks.after(self.source, read)
            yield finalise
            seen.clear()

    def _tokens(self, output: Tensor) -> Tensor:
        """[B, n, d], row by row."""
        if output.ndim == 3:
            return output[:, self.prefix :]
        return output.flatten(1, 2) if self.channels_last else output.flatten(2).transpose(1, 2)
