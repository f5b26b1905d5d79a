"""What is kept of a picture so that any further text costs one small matrix product."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...autograd import frozen, without_autocast
from ...errors import InvalidInput


@dataclass(frozen=True)
class Encoding:
    """One picture at one layer, every token already carried into the space where pictures meet texts.

    All tensors are float32 on the CPU; n = rows * columns patches in row-major order, e = size of that space. Nothing
    of the model is held. Positive values speak for the text, negative ones against it; only differences between tokens
    mean something.

    contributions: [n, e], what each patch adds to the readout (whose formula the tower's family gives), divided by the
    norm of the picture's feature. rest: [e], what is left of that readout: the class token's own share and the biases,
    so that contributions.sum(0) + rest is the whole (see `completes`).
    patches: [n, e], the tokens themselves. complementary: they are residual-stream tokens of a class-token tower, which
    score highest where nothing is (arXiv 2409.17143): a mask inverts them. Otherwise they score highest on the text.
    contribution_offset, patch_offset: [e], the same for every token, present in the official code's numbers only.
    feature: [e], the picture's own unit-norm feature.
    neighbours: [n, e], unit norm, what each patch takes from those like it and near it (`towers/neighbours.py`); None
    unless asked for.
    """

    contributions: Tensor
    rest: Tensor
    patches: Tensor
    feature: Tensor
    grid: tuple[int, int]
    layer: int
    complementary: bool
    contribution_offset: Tensor | None = None
    patch_offset: Tensor | None = None
    neighbours: Tensor | None = None

    def class_token(self, text: Tensor, *, upstream_constants: bool = False) -> Tensor:
        """What each patch adds to the similarity with unit-norm texts [T, e]: [T, rows, columns], signed.

        upstream_constants: add the terms of the official code that are the same for every token; class-token towers
        only.
        """
        return self._map(self.contributions, text, self.contribution_offset if upstream_constants else None)

    def patch(self, text: Tensor, *, upstream_constants: bool = False) -> Tensor:
        """The similarity of each patch's own token with unit-norm texts [T, e]: [T, rows, columns], not inverted."""
        return self._map(self.patches, text, self.patch_offset if upstream_constants else None)

    def neighbourhood(self, text: Tensor) -> Tensor:
        """Cosine of what each patch takes from its neighbours with unit-norm texts [T, e]: [T, rows, columns]."""
        if self.neighbours is None:
            raise InvalidInput("The picture was encoded without its neighbours. Encode it with neighbours=True.")
        return self._map(self.neighbours, text, None)

    def similarity(self, text: Tensor) -> Tensor:
        """Cosine of the whole picture with unit-norm texts [T, e]: [T]."""
        with frozen(), without_autocast():
            return self._checked(text) @ self.feature

    @property
    def completes(self) -> Tensor:
        """[e]: contributions and rest together, the readout that they share out."""
        return self.contributions.sum(0) + self.rest

    @property
    def nbytes(self) -> int:
        """Memory of all tensors."""
        tensors = [self.contributions, self.rest, self.patches, self.feature]
        optional = (self.contribution_offset, self.patch_offset, self.neighbours)
        tensors += [tensor for tensor in optional if tensor is not None]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _map(self, tokens: Tensor, text: Tensor, offset: Tensor | None) -> Tensor:
        text = self._checked(text)
        with frozen(), without_autocast():
            values = text @ tokens.T
            if offset is not None:
                values = values + (text @ offset)[:, None]
        return values.view(text.shape[0], *self.grid)

    def _checked(self, text: Tensor) -> Tensor:
        if text.ndim != 2 or text.shape[1] != self.feature.shape[0]:
            raise InvalidInput(
                f"Text features must be [texts, {self.feature.shape[0]}] for this model, not {list(text.shape)}. "
                "Make them with the same model's encode_texts."
            )
        return text.detach().to("cpu", torch.float32)
