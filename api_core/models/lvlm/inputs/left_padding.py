"""Padding where a model can bear it, wherever a processor put it."""

import torch
from torch import Tensor

_IDS = "input_ids"
_MASK = "attention_mask"


def settle_padding(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same batch with the padding of the prompt before it, and that of further texts behind them.

    Generation goes on from the last token, so nothing may stand between it and the prompt, nor inside the prompt. A
    further text (`<name>_input_ids`) is for an encoder that counts positions from its first token: padded before, it
    would read otherwise in a batch than alone.
    """
    settled = dict(inputs)
    for name, mask in inputs.items():
        prefix = name.removesuffix(_MASK)
        if not name.endswith(_MASK) or inputs.get(prefix + _IDS) is None or mask.shape != inputs[prefix + _IDS].shape:
            continue
        order = mask.argsort(dim=1, stable=True, descending=bool(prefix))
        for other in (name, prefix + _IDS, prefix + "token_type_ids", prefix + "mm_token_type_ids"):
            if other in inputs:
                settled[other] = inputs[other].gather(1, order)
    settled.setdefault(_MASK, torch.ones_like(inputs[_IDS]))
    return settled
