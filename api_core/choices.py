"""What a caller may choose by name, where more than one part of the library or its front ends needs the list.

Free of torch, so that `--help` and the schemas of nodes come at once.
"""

from typing import Literal

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""Number formats of a model's weights."""

ATTENTIONS = ("auto", "sdpa", "flash")
"""How a vision-language model computes attention: sdpa is PyTorch's own, flash the package flash-attn."""

Reading = Literal["precise", "upstream"]
READINGS: tuple[Reading, ...] = ("precise", "upstream")
"""Whether a map is computed as it should be, or step by step as the paper's published code does."""

Fit = Literal["stretch", "letterbox", "crops", "center"]
FITS: tuple[Fit, ...] = ("stretch", "letterbox", "crops", "center")
"""How a picture that is not square is shown to a model with square input."""
