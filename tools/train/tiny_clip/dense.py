"""Stage 1: every patch learns the colour and the shape of what it shows (no text yet)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from api_core.scenes import COLOURS, SHAPES

from .augment import spoil
from .bank import Bank
from .batches import Batch, RowOrder, pieces, whole_pictures
from .network import WIDTH, forward
from .optimise import Optimiser, rate_curve

_log = logging.getLogger(__name__)
FOREGROUND, BACKGROUND = 0.3, 0.04


@dataclass
class DenseSettings:
    images: int = 110_000
    batch: int = 96
    piece: int = 8
    rate: float = 3e-3
    whole_from: float = 0.75
    checkpoint_every: int = 30


class DenseHeads(nn.Module):
    """Linear readings of the patch tokens of the last two layers: colours, shapes, each with a class for background."""

    def __init__(self, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layers
        self.colour = nn.ModuleList([nn.Linear(WIDTH, len(COLOURS) + 1) for _ in layers])
        self.shape = nn.ModuleList([nn.Linear(WIDTH, len(SHAPES) + 1) for _ in layers])


def patch_targets(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Per patch [B, N]: colour and shape class (the last is background) and a weight, 0 where a patch is neither."""
    share, owner = batch.cover.flatten(2).max(1)
    total = batch.cover.flatten(2).sum(1)
    kinds = torch.gather(batch.kinds, 1, owner[..., None].expand(-1, -1, 2))
    inside, outside = share > FOREGROUND, total < BACKGROUND
    colour = torch.where(inside, kinds[..., 0], len(COLOURS))
    shape = torch.where(inside, kinds[..., 1], len(SHAPES))
    return colour, shape, inside.float() + 0.25 * outside.float()


def dense_loss(visual: Any, heads: DenseHeads, batch: Batch) -> tuple[Tensor, float, float]:
    """Loss, and the share of foreground patches whose colour and shape are right at the last layer."""
    out = forward(visual, batch.pixels, heads.layers, batch.corner)
    colour, shape, weight = patch_targets(batch)
    loss = torch.zeros(())
    for index, layer in enumerate(heads.layers):
        tokens = visual.ln_post(out.tokens[layer])
        for head, target in ((heads.colour[index], colour), (heads.shape[index], shape)):
            logits = head(tokens).float()
            each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
            loss = loss + (each * weight.flatten()).sum() / weight.sum() * (1.0 if index else 0.5)
    with torch.no_grad():
        inside = weight == 1
        right = [
            float((head[-1](tokens).float()[inside][:, :-1].argmax(1) == target[inside]).float().mean())
            for head, target in ((heads.colour, colour), (heads.shape, shape))
        ]
    return loss, right[0], right[1]


def train_dense(
    model: Any,
    bank: Bank,
    held_out: Bank,
    folder: Path,
    settings: DenseSettings,
    seed: int,
    rows: np.ndarray | None = None,
) -> None:
    """Run stage 1 to its end, from `folder`/dense.pt if a former run was stopped; `rows` of the bank (default: all)."""
    layers = len(model.visual.transformer.resblocks)
    heads = DenseHeads((layers - 2, layers - 1))
    named = [*model.visual.named_parameters(), *heads.named_parameters()]
    optimiser = Optimiser([(n, p) for n, p in named if n != "proj"], settings.rate)
    order, seen, checkpoint = RowOrder(len(bank), seed, rows), 0, folder / "dense.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.visual.load_state_dict(saved["visual"])
        heads.load_state_dict(saved["heads"])
        optimiser.restore(saved["optimiser"])
        seen = order.given = saved["seen"]
        _log.info("dense: going on from %d pictures", seen)
    started = marked = time.monotonic()
    at_start = seen
    means = np.zeros(3)
    while seen < settings.images:
        done = seen / settings.images
        rng, noise = np.random.default_rng([seed, seen]), torch.Generator().manual_seed(seed * 7919 + seen)
        if done < settings.whole_from:
            batch = pieces(bank, order.take(settings.batch), settings.piece, rng)
        else:
            batch = whole_pictures(bank, order.take(settings.batch // 2))
        batch.pixels = spoil(batch.pixels, noise)
        with torch.autocast("cpu", torch.bfloat16):
            loss, colour, shape = dense_loss(model.visual, heads, batch)
        loss.backward()
        optimiser.step(rate_curve(done))
        seen += len(batch.pixels)
        means = (
            0.95 * means + 0.05 * np.array([loss.item(), colour, shape])
            if means.any()
            else np.array([loss.item(), colour, shape])
        )
        if time.monotonic() - marked > settings.checkpoint_every or seen >= settings.images:
            marked = time.monotonic()
            rate = (seen - at_start) / (marked - started)
            torch.save(
                {
                    "visual": model.visual.state_dict(),
                    "heads": heads.state_dict(),
                    "optimiser": optimiser.state(),
                    "seen": seen,
                },
                checkpoint,
            )
            with torch.no_grad():
                fresh = [
                    dense_loss(model.visual, heads, whole_pictures(held_out, np.arange(i, i + 50)))[1:]
                    for i in (0, 50, 100)
                ]
            _log.info(
                "dense %6d  %.0f/s  loss %.3f  patch colour %.3f shape %.3f  held out %.3f %.3f",
                seen, rate, *means, *np.mean(fresh, 0),
            )  # fmt: skip
