"""Where a model runs, in which numbers and in how much memory: the names that callers give, and what is there."""

import psutil
import torch
from torch import nn

from ..choices import PRECISIONS
from ..errors import InvalidInput, quoted

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class HoldsWeights:
    """A model as far as its `module` goes, which a host may move and convert."""

    module: nn.Module

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are held in now (norms may be held in float32 beside it)."""
        return next(weight for weight in self.module.parameters() if weight.ndim >= 2).dtype


def resolve_device(device: str | torch.device) -> torch.device:
    """The device of that name; "auto" is CUDA, else MPS, else the CPU. A kind that only a host knows is taken as is."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    counts = _device_counts()
    try:
        place = torch.device(device)
    except RuntimeError:
        place = None
    if place is not None and (place.index or 0) < counts.get(place.type, 0):
        return place
    if isinstance(device, torch.device) and device.type not in counts:
        return device
    here = [f"{kind}:{index}" if count > 1 else kind for kind, count in counts.items() for index in range(count)]
    raise InvalidInput(
        f"This machine has no device {quoted(str(device))} that torch can use. Choose auto, {', '.join(here)}."
    )


def _device_counts() -> dict[str, int]:
    """How many devices of each kind torch finds here."""
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    xpu = torch.xpu.device_count() if hasattr(torch, "xpu") and torch.xpu.is_available() else 0
    return {"cuda": cuda, "xpu": xpu, "mps": int(torch.backends.mps.is_available()), "cpu": 1}


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The number format of that name; "auto" is fp32 on the CPU, and fp16 elsewhere.

    CLIP's maps lose less in fp16 than in bf16, by about eight times.
    """
    if precision == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    if precision not in DTYPES:
        raise InvalidInput(f"There is no precision {quoted(precision)}. Choose one of {', '.join(PRECISIONS)}.")
    return DTYPES[precision]


def free_memory(device: torch.device) -> int:
    """Bytes that a forward may use on `device` now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return int(psutil.virtual_memory().available)
