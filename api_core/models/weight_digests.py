"""Which weights a model has: digests of samples of them. Two models of one name may differ."""

import hashlib
from collections.abc import Mapping

import torch
from torch import nn

SAMPLES = 32
"""Taken of each tensor, evenly spread."""

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def weight_digests(module: nn.Module, names: tuple[str, ...] = tuple(FORMATS)) -> Mapping[str, str]:
    """Number format -> a digest of the weights' names and of samples of the weights as rounded to it.

    The same checkpoint loaded in two formats has one of them in common: that of the coarser one.
    """
    digests = {name: hashlib.sha256() for name in names}
    for tensor, weight in sorted(module.state_dict().items()):
        flat = weight.detach().flatten()
        taken = flat[:: max(1, len(flat) // SAMPLES)][:SAMPLES].to("cpu", torch.float32)
        for name, digest in digests.items():
            digest.update(tensor.encode())
            digest.update(taken.to(FORMATS[name]).float().numpy().tobytes())
    return {name: digest.hexdigest() for name, digest in digests.items()}
