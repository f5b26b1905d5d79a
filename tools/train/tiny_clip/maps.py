"""Stage 2: texts, and the maps the paper's method reads, at the last layer and at the second to last.

As in real CLIPs, the patch map is positive at the last layer and inverted at the second to last, where the method
looks by default. Losses: exact truth of every text for every picture (sigmoid, as SigLIP); patch cosines of the last
layer; the class token's shares at both layers; the inverted patch map and the method's own merge (contrasts 1 and
8, kernel 3) at the second to last.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augment import spoil
from .bank import Bank
from .batches import Batch, RowOrder, whole_pictures
from .evaluation import HeldOut, quick_scores
from .network import cosine_map, forward, linear_map
from .optimise import Optimiser, rate_curve
from .texts import Texts, draw_texts

_log = logging.getLogger(__name__)
INSIDE, OUTSIDE = 0.4, 0.04


@dataclass
class MapSettings:
    images: int = 150_000
    batch: int = 32
    rate: float = 2e-3
    whole_weight: float = 1.0
    dense_weight: float = 2.0
    guide_weight: float = 1.0
    merge_weight: float = 2.0
    report_every: int = 60


class MapScales(nn.Module):
    """Learnt sharpness of the training losses; no part of the shipped model."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_scale = nn.Parameter(torch.full((2,), math.log(12.0)))
        self.dense_bias = nn.Parameter(torch.tensor([-5.0, -5.0]))
        self.sharpness = nn.Parameter(torch.tensor([10.0, 10.0, 1.0, 1.0]).log())


def encode_texts(model: open_clip.CLIP, tokens: Tensor) -> Tensor:
    """Unit text vectors [T, E]; like `encode_text`, but only as long as the longest text."""
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
    x = model.ln_final(x)[torch.arange(len(tokens)), tokens.argmax(1)] @ model.text_projection
    return F.normalize(x.float(), dim=-1)


def map_losses(model: open_clip.CLIP, scales: MapScales, batch: Batch, texts: Texts) -> dict[str, Tensor]:
    visual, last = model.visual, len(model.visual.transformer.resblocks) - 1
    with torch.autocast("cpu", torch.bfloat16):
        words = encode_texts(model, texts.tokens)
        out = forward(visual, batch.pixels, (last - 1, last))
    words = words.float()
    cover = batch.cover.flatten(2)
    # [B, N, T]: the share of each patch in which something is seen that the text means
    target = torch.einsum("bkn,bkt->bnt", cover, texts.means.float()).clamp(max=1)
    whole = F.normalize(out.image.float(), dim=-1) @ words.T * model.logit_scale.exp() + model.logit_bias
    losses = {
        "whole": balanced(F.binary_cross_entropy_with_logits(whole, texts.true.float(), reduction="none"), texts.true)
    }
    anything = cover.sum(1)[..., None]
    sure = (target > INSIDE) | (target < OUTSIDE)
    on_object = (anything > INSIDE).float() + 0.2 * (anything < OUTSIDE).float()
    for index, (layer, sign) in enumerate(((last, 1.0), (last - 1, -1.0))):
        cosine = cosine_map(visual, out.tokens[layer].float(), words) * sign
        logits = cosine * scales.dense_scale[index].exp() + scales.dense_bias[index]
        each = F.binary_cross_entropy_with_logits(logits, (target > INSIDE).float(), reduction="none")
        losses["dense" if sign > 0 else "inverted"] = balanced(
            each, target > INSIDE, sure * on_object.expand_as(target)
        )
    picture, text = torch.nonzero(texts.true & (target.amax(1) > INSIDE), as_tuple=True)
    wanted = target[picture, :, text]
    wanted = wanted / wanted.sum(1, keepdim=True)
    rows = {
        "guide": linear_map(visual, out.shares[last].float(), words)[picture, :, text],
        "guide2": linear_map(visual, out.shares[last - 1].float(), words)[picture, :, text],
        "patch2": linear_map(visual, out.tokens[last - 1].float(), words)[picture, :, text],
        "patch": linear_map(visual, out.tokens[last].float(), words)[picture, :, text],
    }
    for index, (name, row) in enumerate(rows.items()):
        sign = -1.0 if name == "patch2" else 1.0
        losses[name] = distribution_loss(sign * row * scales.sharpness[index].exp(), wanted)
    grid = batch.cover.shape[-1]
    merged = [merge(rows["guide2"], rows["patch2"], grid, contrast) for contrast in (1.0, 8.0)]
    losses["merge"] = torch.stack([distribution_loss(20.0 * each, wanted) for each in merged]).mean()
    losses["mask"] = torch.stack([mask_loss(each, target[picture, :, text], grid) for each in merged]).mean()
    return losses


def balanced(each: Tensor, positive: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over positives plus mean over negatives, halved: rare positives count as much as the many negatives."""
    weight = torch.ones_like(each) if weight is None else weight
    plus, minus = weight * positive, weight * ~positive
    return 0.5 * ((each * plus).sum() / (plus.sum() + 1) + 4 * (each * minus).sum() / (minus.sum() + 1))


def distribution_loss(scores: Tensor, wanted: Tensor) -> Tensor:
    """Divergence of softmax(scores) from `wanted` [P, N]."""
    return F.kl_div(scores.log_softmax(1), wanted, reduction="batchmean")


def mask_loss(merged: Tensor, cover: Tensor, grid: int) -> Tensor:
    """Squared distance of the finished mask from the object, smoothed as the mask is; [P, N] both."""
    low, high = merged.amin(1, keepdim=True), merged.amax(1, keepdim=True)
    padded = F.pad(cover.unflatten(1, (1, grid, grid)), [1] * 4, mode="replicate")
    smooth = F.avg_pool2d(padded, 3, stride=1).flatten(1)
    smooth = smooth / smooth.amax(1, keepdim=True)
    return 10 * ((0.2 + smooth) * ((merged - low) / (high - low + 1e-6) - smooth) ** 2).mean()


def merge(shares: Tensor, patches: Tensor, grid: int, contrast: float = 1.0, kernel: int = 3) -> Tensor:
    """The paper's merge of a class-token map and a patch map [P, N], less its last min-max (it ranks nothing anew)."""
    z = (shares - shares.mean(1, keepdim=True)) / (shares.std(1, keepdim=True) + 1e-6)
    low, high = patches.amin(1, keepdim=True), patches.amax(1, keepdim=True)
    parts = torch.stack([torch.sigmoid(contrast * z), (high - patches) / (high - low + 1e-6)], 1)
    padded = F.pad(parts.unflatten(2, (grid, grid)), [kernel // 2] * 4, mode="replicate")
    a, b = F.avg_pool2d(padded, kernel, stride=1).flatten(2).unbind(1)
    return a + b - a * b


def train_maps(
    model: open_clip.CLIP,
    tokenizer: open_clip.SimpleTokenizer,
    bank: Bank,
    held_out: HeldOut,
    folder: Path,
    settings: MapSettings,
    seed: int,
    rows: np.ndarray | None = None,
    unsaid: tuple[int, ...] = (),
) -> None:
    """Run stage 2 to its end, from `folder`/maps.pt if a former run was stopped.

    `rows` of the bank (default: all); `unsaid`: concepts that no text may name.
    """
    scales = MapScales()
    optimiser = Optimiser([*model.named_parameters(), *scales.named_parameters()], settings.rate)
    order, seen, checkpoint = RowOrder(len(bank), seed + 1, rows), 0, folder / "maps.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        scales.load_state_dict(saved["scales"])
        optimiser.restore(saved["optimiser"])
        seen = order.given = saved["seen"]
        _log.info("maps: going on from %d pictures", seen)
    weights = {
        "whole": settings.whole_weight,
        "dense": settings.dense_weight,
        "inverted": settings.dense_weight / 2,
        "guide": settings.guide_weight,
        "guide2": settings.guide_weight,
        "patch2": settings.guide_weight / 2,
        "patch": settings.guide_weight / 2,
        "merge": settings.merge_weight,
        "mask": settings.merge_weight / 2,
    }
    started = marked = time.monotonic()
    at_start = seen
    means: dict[str, float] = {}
    while seen < settings.images:
        rng, noise = np.random.default_rng([seed, 2, seen]), torch.Generator().manual_seed(seed * 7919 + seen + 1)
        batch = whole_pictures(bank, order.take(settings.batch))
        batch.pixels = spoil(batch.pixels, noise)
        texts = draw_texts(batch.kinds, batch.cover.amax((2, 3)) > INSIDE, tokenizer, rng, unsaid=unsaid)
        losses = map_losses(model, scales, batch, texts)
        torch.stack([weights[name] * loss for name, loss in losses.items()]).sum().backward()
        optimiser.step(rate_curve(seen / settings.images))
        seen += settings.batch
        means = {name: 0.97 * means.get(name, loss.item()) + 0.03 * loss.item() for name, loss in losses.items()}
        if time.monotonic() - marked > settings.report_every or seen >= settings.images:
            marked = time.monotonic()
            state = {
                "model": model.state_dict(),
                "scales": scales.state_dict(),
                "optimiser": optimiser.state(),
                "seen": seen,
            }
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            scores = quick_scores(model, tokenizer, held_out)
            _log.info(
                "maps %6d  %.0f/s  %s | %s",
                seen,
                (seen - at_start) / (marked - started),
                " ".join(f"{name} {value:.3f}" for name, value in means.items()),
                " ".join(f"{name} {point:.2f}/{first:.2f}" for name, (point, first) in scores.items()),
            )
