"""The one owner of torch's modes: gradients, inference, autocast.

Hosts may call the library inside `torch.inference_mode()`. Tensors made there can never take part in a gradient, so a
model is built outside it, and code that needs gradients says so through `differentiable`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

from .errors import AttentionPromptingError


@contextmanager
def frozen() -> Iterator[None]:
    """Run without recording gradients, and without making tensors that could never have one."""
    with torch.inference_mode(False), torch.no_grad():
        yield


@contextmanager
def without_autocast(device_type: str = "cpu") -> Iterator[None]:
    """Run in the number formats that tensors have: a host's autocast is for its models, not for maps and masks."""
    with torch.autocast(device_type, enabled=False):
        yield


@contextmanager
def differentiable(module: torch.nn.Module, *inputs: torch.Tensor) -> Iterator[None]:
    """Run with gradients on, after checking that `module`'s weights and `inputs` can carry them.

    Raises AttentionPromptingError for weights or inputs that were made or moved inside inference mode: autograd would
    fail on them later and elsewhere, with a message that names neither.
    """
    for name, tensor in [*module.named_parameters(), *((f"input {i}", tensor) for i, tensor in enumerate(inputs))]:
        if tensor.is_inference():
            raise AttentionPromptingError(
                f"{name} was created or moved inside torch.inference_mode(), so it cannot take part in a gradient. "
                "Build and move the model outside inference mode, and clone inputs there."
            )
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def without_weight_gradients(module: torch.nn.Module) -> Iterator[None]:
    """Run while no weight of `module` takes a gradient: only what flows through it does."""
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    try:
        for weight in learning:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in learning:
            cast(Any, weight).requires_grad_(True)
