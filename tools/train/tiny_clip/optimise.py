"""Muon for the matrices of the towers, AdamW for everything else, one learning-rate curve over pictures seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class Optimiser:
    def __init__(self, modules: Iterable[tuple[str, nn.Parameter]], rate: float, weight_decay: float = 0.02) -> None:
        matrices: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, parameter in modules:
            in_block = ("resblocks" in name or ".layers." in name) and parameter.ndim == 2
            (matrices if in_block else rest).append(parameter)
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(
                torch.optim.Muon(
                    matrices, lr=rate, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
                )
            )
        self.parts.append(torch.optim.AdamW(rest, lr=rate, weight_decay=weight_decay, betas=(0.9, 0.98)))
        self.rate, self.parameters = rate, matrices + rest

    def step(self, share: float) -> None:
        """`share` is the learning rate as a share of the peak."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.rate * share
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def restore(self, state: list[dict[str, Any]]) -> None:
        for part, saved in zip(self.parts, state, strict=True):
            part.load_state_dict(saved)


def rate_curve(done: float, warm: float = 0.04, hold: float = 0.4, end: float = 0.03) -> float:
    """Warm-up to 1, constant until `hold`, then linear to `end`; `done` is the share of the stage that is over."""
    if done < warm:
        return max(done, 0.002) / warm
    if done < hold:
        return 1.0
    return 1.0 - (1.0 - end) * (done - hold) / (1.0 - hold)
