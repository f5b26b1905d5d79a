"""Stage 1: the tiny CLIP's vision tower learns once more what every patch shows, now also in uneven light.

Linear readings of its patch tokens: colour, shape, and where the middle of the object lies. First the readings alone
learn (how much does the tower as shipped hold?), then the tower with them.
"""

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
from transformers import CLIPVisionConfig, CLIPVisionModel

from api_core.scenes import COLOURS, SHAPES

from ..tiny_clip.batches import RowOrder
from ..tiny_clip.network import WIDTH, forward
from ..tiny_clip.optimise import Optimiser, rate_curve
from .bank import GRID, PATCH, SIDE, SceneBank
from .light import spoil_and_shade

_log = logging.getLogger(__name__)
FOREGROUND, BACKGROUND = 0.3, 0.04


@dataclass
class TowerSettings:
    images: int = 24_000
    probe_images: int = 5_000
    batch: int = 48
    rate: float = 1e-3
    checkpoint_every: int = 30


class PatchHeads(nn.Module):
    """Readings of the tokens of some layers, each token normalised: colour, shape (last class: background), offset."""

    def __init__(self, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layers
        self.read = nn.ModuleList([nn.Linear(WIDTH, len(COLOURS) + 1 + len(SHAPES) + 1 + 2) for _ in layers])

    def forward(self, tokens: Tensor, index: int) -> tuple[Tensor, Tensor, Tensor]:
        out = self.read[index](F.layer_norm(tokens.float(), (WIDTH,)))
        colour, shape, offset = out.split([len(COLOURS) + 1, len(SHAPES) + 1, 2], -1)
        return colour, shape, offset


def training_pictures(bank: SceneBank, rows: np.ndarray) -> Tensor:
    """[B, 3, 112, 112] in 0..1."""
    return torch.from_numpy(bank.pictures[rows]).permute(0, 3, 1, 2).float() / 255


def patch_losses(
    visual: Any, heads: PatchHeads, bank: SceneBank, rows: np.ndarray, pixels: Tensor
) -> tuple[Tensor, list[float]]:
    """Loss over the layers of `heads`; of each layer the share of foreground patches with colour and shape right."""
    with torch.autocast("cpu", torch.bfloat16):
        out = forward(visual, pixels, heads.layers)
    cover = torch.from_numpy(bank.cover[rows]).float().flatten(2) / 255
    share, owner = cover.max(1)
    inside, outside = share > FOREGROUND, cover.sum(1) < BACKGROUND
    kinds = torch.gather(torch.from_numpy(bank.kinds[rows]).long(), 1, owner[..., None].expand(-1, -1, 2))
    colour, shape = (torch.where(inside, kinds[..., k], n) for k, n in ((0, len(COLOURS)), (1, len(SHAPES))))
    boxes = torch.gather(torch.from_numpy(bank.boxes[rows]), 1, owner[..., None].expand(-1, -1, 4)) / PATCH
    steps = torch.arange(GRID * GRID)
    here = torch.stack([steps % GRID, steps // GRID], -1) + 0.5
    offset = (boxes[..., :2] + boxes[..., 2:]) / 2 - here
    weight = (inside.float() + 0.25 * outside.float()).flatten()
    loss, right = torch.zeros(()), []
    for index, layer in enumerate(heads.layers):
        tokens = out.tokens[layer]
        read = heads(tokens, index)
        for logits, target in ((read[0], colour), (read[1], shape)):
            each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
            loss = loss + (each * weight).sum() / weight.sum()
            right.append(float((logits[inside][:, :-1].argmax(1) == target[inside]).float().mean()))
        loss = loss + 0.5 * F.smooth_l1_loss(read[2][inside], offset[inside], beta=0.25)
        right.append(float((read[2][inside] - offset[inside]).detach().norm(dim=-1).mean()))
    return loss, right


@torch.no_grad()
def held_out_scores(visual: Any, heads: PatchHeads, held_out: SceneBank, shade: bool) -> list[float]:
    """`patch_losses`' figures on 200 held-out pictures, as drawn or with training's light."""
    parts = []
    for start in range(0, 200, 50):
        rows = np.arange(start, start + 50)
        pixels = training_pictures(held_out, rows)
        if shade:
            pixels = spoil_and_shade(pixels, torch.Generator().manual_seed(start))
        parts.append(patch_losses(visual, heads, held_out, rows, pixels)[1])
    return [float(x) for x in np.mean(parts, 0)]


def train_tower(
    visual: Any, bank: SceneBank, held_out: SceneBank, folder: Path, settings: TowerSettings, seed: int
) -> None:
    """Run the stage to its end, from `folder`/tower.pt if a former run was stopped; `visual` is changed in place."""
    layers = len(visual.transformer.resblocks)
    heads = PatchHeads((layers - 2, layers - 1))
    unused = ("proj", "ln_post.weight", "ln_post.bias")
    tower = [(name, p) for name, p in visual.named_parameters() if name not in unused]
    optimisers = {
        "heads": Optimiser(heads.named_parameters(), 4 * settings.rate),
        "tower": Optimiser(tower, settings.rate),
    }
    order, seen, checkpoint = RowOrder(len(bank), seed + 3), 0, folder / "tower.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        visual.load_state_dict(saved["visual"])
        heads.load_state_dict(saved["heads"])
        for name, optimiser in optimisers.items():
            optimiser.restore(saved["optimisers"][name])
        seen = order.given = saved["seen"]
        _log.info("tower: going on from %d pictures", seen)
    total = settings.probe_images + settings.images
    marked = time.monotonic()
    while seen < total:
        probing = seen < settings.probe_images
        for _, parameter in tower:
            parameter.requires_grad_(not probing)
        rows = order.take(settings.batch)
        noise = torch.Generator().manual_seed(seed * 7919 + seen)
        pixels = spoil_and_shade(training_pictures(bank, rows), noise)
        loss, _ = patch_losses(visual, heads, bank, rows, pixels)
        loss.backward()
        done = (seen - settings.probe_images) / settings.images
        optimisers["heads"].step(rate_curve(max(0.1, done)))
        if not probing:
            optimisers["tower"].step(rate_curve(done))
        seen += settings.batch
        crossing = probing and seen >= settings.probe_images
        if time.monotonic() - marked > settings.checkpoint_every or seen >= total or crossing:
            marked = time.monotonic()
            state = {"visual": visual.state_dict(), "heads": heads.state_dict(), "seen": seen}
            state["optimisers"] = {name: optimiser.state() for name, optimiser in optimisers.items()}
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            figures = [held_out_scores(visual, heads, held_out, shade) for shade in (False, True)]
            told = [" ".join(f"{f:.3f}" for f in figure) for figure in figures]
            _log.info("tower %6d %s loss %.3f | per layer colour shape offset: as drawn %s | spoiled %s",
                      seen, "probe" if probing else "tuned", loss.item(), *told)  # fmt: skip
    for _, parameter in tower:
        parameter.requires_grad_(False)


def as_transformers(visual: Any) -> CLIPVisionModel:
    """open_clip's tower as transformers' CLIPVisionModel: the same numbers, other names."""
    blocks = visual.transformer.resblocks
    heads = blocks[0].attn.num_heads
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=blocks[0].mlp.c_fc.out_features,
        num_hidden_layers=len(blocks),
        num_attention_heads=heads,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
        projection_dim=visual.proj.shape[1],
    )
    state = {
        "embeddings.class_embedding": visual.class_embedding,
        "embeddings.patch_embedding.weight": visual.conv1.weight,
        "embeddings.position_embedding.weight": visual.positional_embedding,
    }
    for old, new in (("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm")):
        state |= {f"{new}.{name}": value for name, value in getattr(visual, old).named_parameters()}
    for number, block in enumerate(blocks):
        place = f"encoder.layers.{number}"
        names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
        names["attn.out_proj"] = "self_attn.out_proj"
        for old, new in names.items():
            state |= {f"{place}.{new}.{n}": v for n, v in block.get_submodule(old).named_parameters()}
        for kind in ("weight", "bias"):
            for letter, part in zip("qkv", getattr(block.attn, f"in_proj_{kind}").chunk(3), strict=True):
                state[f"{place}.self_attn.{letter}_proj.{kind}"] = part
    model = CLIPVisionModel(config)
    prefix = "vision_model." if any(name.startswith("vision_model.") for name in model.state_dict()) else ""
    model.load_state_dict({prefix + name: value.detach().clone() for name, value in state.items()})
    return model.eval().requires_grad_(False)
