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

INTERPOLATIONS = ("lanczos", "bicubic", "hamming", "bilinear", "nearest")
"""Kernels, as Pillow has them, by which a grid is brought to the size of a picture."""

SmoothingUnit = Literal["patches", "pixels"]
SMOOTHING_UNITS: tuple[SmoothingUnit, ...] = ("patches", "pixels")
"""What the smoothing of a mask counts."""

Scheme = Literal["zeros", "ones", "noise", "attention mask"]
SCHEMES: tuple[Scheme, ...] = ("zeros", "ones", "noise", "attention mask")
"""What stands where image tokens are left out: embeddings of zeros, of ones or of normal noise (all of which can still
be looked at), or nothing that anything looks at."""
